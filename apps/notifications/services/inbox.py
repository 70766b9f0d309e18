"""What a person can do with their inbox."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from apps.core import live
from apps.core.actors import Actor
from apps.core.postgres.batches import delete_in_batches
from apps.notifications.errors import InboxNeedsPerson
from apps.notifications.models import Notification, Preference

READ_KEPT_FOR = timedelta(days=90)
UNREAD_KEPT_FOR = timedelta(days=180)


@transaction.atomic
def mark_read(notification: Notification, *, by: Actor) -> Notification:
    """Note that its person has read it; once more changes nothing."""
    _mark(owner_of_inbox(by), pk=notification.pk)
    notification.refresh_from_db()
    return notification


@transaction.atomic
def mark_all_read(*, by: Actor) -> int:
    """Note that all of one's own inbox has been read. Returns how many were unread."""
    return _mark(owner_of_inbox(by))


@transaction.atomic
def forget_person(user_id: UUID) -> None:
    """Delete a person's inbox and wishes in the current organization, which they left."""
    Notification.objects.of(user_id).delete()
    Preference.objects.filter(user_id=user_id).delete()


def forget_old() -> int:
    """Delete the current tenant's lines that were read 90 days ago, or not read for 180; how many those were."""
    is_old = Q(read_at__lt=Now() - READ_KEPT_FOR) | Q(read_at__isnull=True, created_at__lt=Now() - UNREAD_KEPT_FOR)
    return delete_in_batches(Notification.objects.filter(is_old))


def owner_of_inbox(by: Actor) -> UUID:
    """Raises `InboxNeedsPerson`."""
    if by.user_id is None:
        raise InboxNeedsPerson
    return by.user_id


def _mark(user_id: UUID, **which: UUID) -> int:
    count = Notification.objects.of(user_id).unread().filter(**which).update(read_at=Now())
    live.publish(f"inbox:{user_id}")
    return count
