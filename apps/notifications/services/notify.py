"""Telling people and webhooks of events, in the transaction of what they tell."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from django.db import models, transaction

from apps.core import live
from apps.notifications import audience, catalogue, lines, mails
from apps.notifications.audience import Happening
from apps.notifications.catalogue import Event
from apps.notifications.enums import Channel
from apps.notifications.lines import Lately, Line
from apps.notifications.models import Notification
from apps.notifications.webhooks import outbox
from apps.organizations.models import Membership


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
    notify_all([happening(event, subject, data, to=to, but=but)])


def happening(
    event: str,
    subject: models.Model,
    data: dict[str, Any],
    *,
    to: Collection[UUID | None] | None = None,
    but: UUID | None = None,
) -> Happening:
    """One of those that `notify_all` takes, said as `notify` says it. Raises `UnknownEvent`."""
    return Happening(catalogue.get(event), subject.pk, {"id": str(subject.pk), **data}, to, but)


@transaction.atomic
def notify_all(happenings: Sequence[Happening]) -> None:
    """Tell of what came about together: webhooks of each, a person of many as of one.

    More of them take no more statements, and bring nobody more than a few mails.
    """
    outbox.enqueue_all([(one.event.name, one.data) for one in happenings])
    told = audience.told(happenings)
    events = {event for _, event in told}
    people = {member.user_id for member, _ in told}
    wishes = audience.wishes(events, people)
    before = lines.lately(people, events)
    inboxes = _Inboxes()
    for (member, event), news in told.items():
        lately = before.get((member.user_id, event.name), Lately())
        if lately.several:
            inboxes.add_to(lately.several, event, len(news))
            continue
        for line in lines.lines_of(event, news, lately):
            if wishes[member.user_id, event.name, Channel.INBOX]:
                inboxes.add(member, event, line)
            if wishes[member.user_id, event.name, Channel.MAIL]:
                mails.send(event, member, line)
    inboxes.write()


class _Inboxes:
    """Lines on their way into inboxes."""

    def __init__(self) -> None:
        self._new: list[Notification] = []
        self._grown: list[Notification] = []

    def add(self, member: Membership, event: Event, line: Line) -> None:
        told = {"title": line.title, "text": line.text, "subject_id": line.subject_id, "number": line.number}
        self._new.append(Notification(user=member.user, event=event.name, **told))

    def add_to(self, row: Notification, event: Event, number: int) -> None:
        """Let a line that tells of several tell of more."""
        line = lines.several(event, row.number + number)
        row.title, row.number, row.read_at = line.title, line.number, None
        self._grown.append(row)

    def write(self) -> None:
        Notification.objects.bulk_create(self._new)
        if self._grown:
            Notification.objects.bulk_update(self._grown, ["title", "number", "read_at"])
        for user_id in {row.user_id for row in (*self._new, *self._grown)}:
            live.publish(f"inbox:{user_id}")
