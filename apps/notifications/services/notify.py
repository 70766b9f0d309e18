"""Telling people and webhooks of an event, in the transaction of what it tells."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db import models, transaction

from apps.core import live
from apps.notifications import audience, catalogue, mails
from apps.notifications.catalogue import Event
from apps.notifications.enums import Channel
from apps.notifications.models import Notification
from apps.notifications.webhooks import outbox
from apps.organizations.models import Membership


@transaction.atomic
def notify(
    event: str,
    subject: models.Model,
    data: dict[str, Any],
    *,
    to: Collection[UUID | None] | None = None,
    but: UUID | None = None,
) -> None:
    """Tell of `event` about `subject` by each person's channels and by webhooks; `data` holds plain values, no secrets.

    `to` are ids of people, or of tokens for those they belong to; without it everybody is told whose role has the
    event's permission, but for the person `but`, who did it. Whoever may not see it any more is told nothing.
    """
    kind = catalogue.get(event)
    data = {"id": str(subject.pk), **data}
    outbox.enqueue(event, data)
    members = audience.members_told(kind, to, but)
    wishes = audience.wishes([kind], [member.user_id for member in members])
    _write_inboxes(kind, subject, data, [one for one in members if wishes[one.user_id, event, Channel.INBOX]])
    for member in members:
        if wishes[member.user_id, event, Channel.MAIL]:
            mails.send(kind, member, subject.pk, data)


def _write_inboxes(kind: Event, subject: models.Model, data: dict[str, Any], members: list[Membership]) -> None:
    title, text = kind.title_of(data), kind.text_of(data)
    Notification.objects.bulk_create(
        Notification(user=member.user, event=kind.name, title=title, text=text, subject_id=subject.pk)
        for member in members
    )
    for member in members:
        live.publish(f"inbox:{member.user_id}")
