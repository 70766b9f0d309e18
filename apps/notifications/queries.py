"""Reads for the inbox, the bell and the preferences."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import Count

from apps.core.actors import Actor
from apps.notifications import audience
from apps.notifications.catalogue import EVENTS, Event
from apps.notifications.models import Notification

UNREAD = "unread"


def filtered_inbox(user_id: UUID | None, parameters: Any) -> Any:
    """The rows of a person's inbox that the page's address asks for."""
    rows = Notification.objects.of(user_id)
    if parameters.get("show") == UNREAD:
        rows = rows.unread()
    return rows.filter(event=parameters["event"]) if parameters.get("event") else rows


def unread_count(user_id: UUID | None) -> int:
    return Notification.objects.of(user_id).unread().count()


def event_counts(user_id: UUID | None) -> list[tuple[str, str, int]]:
    """How many rows there are of each event that occurs: (value, label, count)."""
    rows = Notification.objects.of(user_id).values_list("event").annotate(Count("id")).order_by("event")
    return [(event, event, count) for event, count in rows]


def offered_events(actor: Actor) -> list[Event]:
    """What the actor may be told of."""
    return [event for event in EVENTS.values() if actor.can(event.permission)]


def wishes_of(user_id: UUID, events: list[Event]) -> dict[tuple[str, str], bool]:
    """A person's wishes by event and channel."""
    return {(event, channel): is_on for (_, event, channel), is_on in audience.wishes(events, [user_id]).items()}
