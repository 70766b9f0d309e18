"""Who is told of an event, and by which channels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Q

from apps.notifications.catalogue import Event
from apps.notifications.enums import Channel
from apps.notifications.models import Preference
from apps.organizations.models import ApiToken, Membership
from apps.organizations.permissions import TABLE

Wish = tuple[UUID, str, str]  # person, event, channel


@dataclass(frozen=True, slots=True)
class Happening:
    """An event that came about: what it is about, its data, and who is told (see `services.notify`)."""

    event: Event
    subject_id: UUID
    data: dict[str, Any]
    to: Collection[UUID | None] | None = None
    but: UUID | None = None


def told(happenings: Collection[Happening]) -> dict[tuple[Membership, Event], list[Happening]]:
    """For each member what of each event they are told: only what they may see."""
    named = {one for happening in happenings for one in (*(happening.to or ()), happening.but) if one}
    people = _people_of_tokens(named)
    found: dict[tuple[Membership, Event], list[Happening]] = defaultdict(list)
    for member in _members(happenings, named | set(people.values())):
        for happening in happenings:
            if _concerns(happening, member, people):
                found[member, happening.event].append(happening)
    return found


def _people_of_tokens(ids: set[UUID]) -> dict[UUID, UUID]:
    """The person that each of these tokens acts for."""
    rows = ApiToken.objects.filter(pk__in=ids, membership__isnull=False) if ids else ApiToken.objects.none()
    return dict(rows.values_list("pk", "membership__user_id"))


def _members(happenings: Collection[Happening], named: set[UUID]) -> list[Membership]:
    """Everybody whom one of these may concern."""
    rows = Membership.objects.filter(user__is_active=True)
    if all(happening.to is not None for happening in happenings):
        also = {role for one in happenings for role in TABLE.get(one.event.also, ())}
        rows = rows.filter(Q(user_id__in=named) | Q(role__in=also))
    return list(rows.select_related("user", "organization").order_by("id"))


def _concerns(happening: Happening, member: Membership, people: Mapping[UUID, UUID]) -> bool:
    event = happening.event
    if member.role not in TABLE[event.permission] or (
        happening.but and people.get(happening.but, happening.but) == member.user_id
    ):
        return False
    return (
        happening.to is None
        or member.role in TABLE.get(event.also, ())
        or any(one and people.get(one, one) == member.user_id for one in happening.to)
    )


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
