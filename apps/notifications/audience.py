"""Who is told of an event, and by which channels."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from django.db.models import Q

from apps.notifications.catalogue import Event
from apps.notifications.enums import Channel
from apps.notifications.models import Preference
from apps.organizations.models import Membership
from apps.organizations.permissions import TABLE

Wish = tuple[UUID, str, str]  # person, event, channel


def members_told(event: Event, to: Collection[UUID | None] | None, but: UUID | None) -> list[Membership]:
    """Members who may see what the event is about, those of `to` if given; a token's id means its person."""
    rows = Membership.objects.filter(role__in=TABLE[event.permission], user__is_active=True)
    if to is not None:
        ids = [one for one in to if one]
        rows = rows.filter(Q(user_id__in=ids) | Q(tokens__in=ids)).distinct()
    if but is not None:
        rows = rows.exclude(user_id=but)
    return list(rows.select_related("user", "organization"))


def wishes(events: Collection[Event], people: Collection[UUID]) -> dict[Wish, bool]:
    """For each person, event and channel whether to tell: the person's word, otherwise the catalogue's."""
    rows = Preference.objects.filter(user__in=people, event__in=[event.name for event in events])
    said = {(row.user_id, row.event, row.channel): row.is_on for row in rows}
    return {
        (person, event.name, channel): _told(said.get((person, event.name, channel)), event, channel)
        for person in people
        for event in events
        for channel in Channel.values
    }


def _told(said: bool | None, event: Event, channel: str) -> bool:
    return event.default(channel) if said is None or not event.is_optional(channel) else said
