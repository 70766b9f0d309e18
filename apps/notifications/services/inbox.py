"""What a person can do with their inbox."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from apps.core import live
from apps.core.actors import Actor
from apps.notifications.errors import InboxNeedsPerson
from apps.notifications.models import Notification, Preference


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


def owner_of_inbox(by: Actor) -> UUID:
    """Raises `InboxNeedsPerson`."""
    if by.user_id is None:
        raise InboxNeedsPerson
    return by.user_id


def _mark(user_id: UUID, **which: UUID) -> int:
    count = Notification.objects.of(user_id).unread().filter(**which).update(read_at=Now())
    live.publish(f"inbox:{user_id}")
    return count
