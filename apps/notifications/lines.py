"""What a person is told in one line: one event, or several that came about together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.utils import timezone

from apps.core.formatting import format_count
from apps.notifications.audience import Happening
from apps.notifications.catalogue import Event
from apps.notifications.models import Notification

# More of one event within this time are told as one line.
TOLD_EACH = 3
TOGETHER = timedelta(minutes=1)
# A line that tells of several takes up what follows it for so long, without another mail.
TAKES_UP_FOR = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Line:
    """Without a subject it tells of `number` of them."""

    title: str
    text: str
    subject_id: UUID | None
    number: int = 1


@dataclass(frozen=True, slots=True)
class Lately:
    """What a person was told of one event a moment ago: a line that tells of several, and how many others."""

    several: Notification | None = None
    count: int = 0


def lines_of(event: Event, happenings: Collection[Happening], lately: Lately) -> list[Line]:
    """What to tell a person who was told `lately` of the same event."""
    number = lately.count + len(happenings)
    if event.many and number > TOLD_EACH:
        return [several(event, number)]
    return [Line(event.title_of(one.data), event.text_of(one.data), one.subject_id) for one in happenings]


def several(event: Event, number: int) -> Line:
    return Line(event.many.format(number=format_count(number)), "", None, number)


def lately(people: Collection[UUID], events: Collection[Event]) -> dict[tuple[UUID, str], Lately]:
    """By person and event; nothing of events that are told one by one."""
    names = [event.name for event in events if event.many]
    if not names:
        return {}
    now = timezone.now()
    rows = Notification.objects.filter(user_id__in=people, event__in=names, created_at__gt=now - TAKES_UP_FOR)
    found: dict[tuple[UUID, str], list[Notification]] = defaultdict(list)
    for row in rows.order_by("id"):
        found[row.user_id, row.event].append(row)
    return {key: _lately(told, now) for key, told in found.items()}


def _lately(told: list[Notification], now: datetime) -> Lately:
    several = [row for row in told if row.subject_id is None]
    others = [row for row in told if row.subject_id and row.created_at > now - TOGETHER]
    return Lately(several[-1] if several else None, len(others))
