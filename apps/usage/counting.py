"""Counters made anew: what Redis counts is what the ledger holds and what is on its way there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime
from functools import cache
from typing import Any, cast
from uuid import UUID

import redis
import structlog
from django.conf import settings
from django.db import connection
from django.utils import timezone
from pydantic_core import from_json

from apps.core import entries, tenancy
from apps.usage import entitlements, meters
from apps.usage.edge import STREAM
from apps.usage.meters import Meter
from apps.usage.quotas import ALWAYS, Counter, Quotas, Settled, month_of, next_month, period_of

log = structlog.get_logger(__name__)

ATTEMPTS = 10
PAGE = 50  # entries of many events each
TOGETHER = 200  # counters that one look into the stream is for; what is settled a minute after it has to be found
FAR = date(9999, 1, 1)
LONG_AGO = date(1970, 1, 1)

# One statement sees one state of the ledger.
READ = """
SELECT COALESCE((SELECT sum(quantity)::bigint FROM usage_usageday
    WHERE organization_id = %(tenant)s AND meter = %(meter)s AND day >= %(start)s AND day < %(end)s), 0),
    ARRAY(SELECT id FROM usage_usageevent WHERE organization_id = %(tenant)s AND id = ANY(%(ids)s::uuid[]))
"""


# What the ledger of a counter sums up to, and which of these uses are in it.
Ledger = Callable[[Counter, Collection[str]], tuple[int, set[str]]]


class Unsettled(RuntimeError):
    """A counter could not be made anew, because what it counts would not stand still."""


def restore(*, only_unknown: bool = True) -> int:
    """Make the counters of every amount that refuses anew: those that Redis lost, or all. Returns how many."""
    counters = entitlements.hard_counters(timezone.now())
    lost = quotas().unknown(counters) if only_unknown else counters
    for first in range(0, len(lost), TOGETHER):
        _rebuild_all(lost[first : first + TOGETHER])
    return len(lost)


def _rebuild_all(counters: Collection[Counter]) -> None:
    waiting = events_waiting(counters)
    for counter in counters:
        with tenancy.scope(UUID(counter.organization_id)), suppress(Unsettled):
            rebuild(counter, waiting[counter])


def rebuild(counter: Counter, waiting: Mapping[str, int] | None = None, ledger: Ledger | None = None) -> int:
    """Install what was used, however much is settled meanwhile. Raises `Unsettled` and `RedisError`.

    `waiting` was read before: an event that came since then was settled since then, and is found among those. `ledger`
    is where the counter's uses end, if not as usage of a meter.
    """
    ledger = ledger or _ledger
    on_their_way = events_waiting([counter])[counter] if waiting is None else waiting
    for _ in range(ATTEMPTS):
        before = quotas().settled(counter)
        known = {**on_their_way, **before.lately}
        in_ledger, stored = ledger(counter, known)
        if _came_between(counter, before, ledger):
            continue
        used = in_ledger + sum(quantity for use, quantity in known.items() if use not in stored)
        if quotas().install(counter, used, before):
            return used
    log.warning("quota_not_rebuilt", organization=counter.organization_id, counter=counter.name)
    raise Unsettled(counter.name)


def _came_between(counter: Counter, before: Settled, ledger: Ledger) -> bool:
    """Whether the ledger has something already that was settled since `before` or will be, which would count twice.

    What is not there yet was not there when the ledger was read.
    """
    now = quotas().settled(counter)
    new = (now.lately.keys() | now.held) - before.lately.keys()
    return bool(new and ledger(counter, new)[1])


def used(meter: Meter, now: datetime) -> int:
    """What the ledger says the organization in scope used in this month, or has of a stock."""
    counter = Counter(str(tenancy.current_tenant_id()), meter.name, period_of(meter, now))
    return _ledger(counter, ())[0]


def _ledger(counter: Counter, ids: Collection[str]) -> tuple[int, set[str]]:
    """What the ledger sums up to, and which of these events are in it."""
    start, end = _days(counter)
    told: dict[str, Any] = {"tenant": counter.organization_id, "meter": counter.name, "start": start, "end": end}
    with connection.cursor() as cursor:
        cursor.execute(READ, {**told, "ids": [use for use in ids if _is_uuid(use)]})
        total, stored = cursor.fetchone()
    return total, {str(use) for use in stored}


def _days(counter: Counter) -> tuple[date, date]:
    if counter.period == ALWAYS:
        return LONG_AGO, FAR
    month = datetime.strptime(counter.period, "%Y-%m").replace(tzinfo=UTC)
    return month_of(month).date(), next_month(month).date()


def events_waiting(wanted: Collection[Counter]) -> dict[Counter, dict[str, int]]:
    """What is in the stream for these counters: quantities by the events' ids.

    What is not a use is left out, as the sink will do.
    """
    found: dict[Counter, dict[str, int]] = {counter: {} for counter in wanted}
    for event in waiting_in(STREAM):
        _note(found, event)
    return found


def waiting_in(stream: str) -> Iterator[bytes]:
    """The events of a stream that the sink has not taken."""
    start = "-"
    while page := cast(Any, client().xrange(stream, start, count=PAGE)):
        for _, fields in page:
            yield from entries.events(fields)
        start = f"({page[-1][0].decode()}"


def _note(found: Mapping[Counter, dict[str, int]], raw: bytes) -> None:
    with suppress(KeyError, TypeError, ValueError):
        event: Mapping[str, Any] = from_json(raw)
        meter, at = meters.named(event["meter"]), datetime.fromisoformat(event["at"])
        counter = Counter(event["organization_id"], meter.name, period_of(meter, at))
        found[counter][event["id"]] = int(event["quantity"])


def _is_uuid(text: str) -> bool:
    try:
        return bool(UUID(text))
    except ValueError:
        return False


@cache
def client() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=1)


@cache
def quotas() -> Quotas:
    return Quotas(client())
