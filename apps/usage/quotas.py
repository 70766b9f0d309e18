"""Amounts that are reserved before they are used, in Redis. Imports no Django: the data plane reserves too.

A counter is what a limit is on: a meter in a month, later a budget. It knows what is used, and what is held for calls
that are under way; a reservation passes if both and its own amount stay within the limit. One script each reserves,
settles and releases, for several counters of an organization at once. What Redis lost is unknown until somebody who
can read the ledger installs it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any, cast
from uuid import UUID

import redis
from redis.asyncio import Redis as AsyncRedis

from apps.core.errors import DomainError
from apps.core.formatting import format_date, format_month
from apps.usage.meters import Meter

ALWAYS = "all"  # the period of a stock
KEPT_MS = 40 * 86_400_000  # a counter that nobody asks about goes after its month
SETTLED_KEPT_MS = 60_000  # for so long a use that is told twice is known, and found by who rebuilds
PRUNED = 100

_COMMON = """
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local function number(value) return tonumber(value or '0') end
local function text(value) return string.format('%.0f', value) end
local function let_go(total, uses, ends, id)
    local use = redis.call('HGET', uses, id)
    if use and string.sub(use, 1, 1) == 'r' then
        redis.call('HINCRBY', total, 'held', text(0 - tonumber(string.sub(use, 2))))
    end
    redis.call('HDEL', uses, id)
    redis.call('ZREM', ends, id)
    return use
end
local function used_and_held(total, used) return number(used) + number(redis.call('HGET', total, 'held')) end
-- How many reservations and settled uses whose time is over were let go.
local function prune(total, uses, ends)
    local over = redis.call('ZRANGEBYSCORE', ends, '-inf', now, 'LIMIT', 0, %(pruned)d)
    for _, ended in ipairs(over) do let_go(total, uses, ends, ended) end
    return #over
end
local function keep(total, uses, ends)
    for _, key in ipairs({total, uses, ends}) do redis.call('PEXPIRE', key, '%(kept)d') end
end
""".replace("%(kept)d", str(KEPT_MS)).replace("%(pruned)d", str(PRUNED))

# ARGV: id, ttl, then limit (-1: none) and amount of each counter. Answers {state, counter, used and held of each}.
_RESERVE = (
    _COMMON
    + """
local id, ttl, refused, totals, fresh = ARGV[1], tonumber(ARGV[2]), 0, {}, {}
for i = 1, #KEYS / 3 do
    local total, uses, ends = KEYS[3 * i - 2], KEYS[3 * i - 1], KEYS[3 * i]
    prune(total, uses, ends)
    local used = redis.call('HGET', total, 'used')
    if not used then return {-1, i} end
    totals[i] = used_and_held(total, used)
    fresh[i] = redis.call('HEXISTS', uses, id) == 0
    local limit, amount = tonumber(ARGV[2 * i + 1]), tonumber(ARGV[2 * i + 2])
    while fresh[i] and limit >= 0 and totals[i] + amount > limit and prune(total, uses, ends) > 0 do
        totals[i] = used_and_held(total, used)
    end
    if fresh[i] and limit >= 0 and totals[i] + amount > limit and refused == 0 then refused = i end
end
for i = 1, #KEYS / 3 do
    if refused == 0 and fresh[i] then
        local total, uses, ends, amount = KEYS[3 * i - 2], KEYS[3 * i - 1], KEYS[3 * i], ARGV[2 * i + 2]
        redis.call('HINCRBY', total, 'held', amount)
        redis.call('HSET', uses, id, 'r' .. amount)
        redis.call('ZADD', ends, text(now + ttl), id)
        keep(total, uses, ends)
        totals[i] = totals[i] + tonumber(amount)
    end
    totals[i] = text(totals[i])
end
return {refused == 0 and 1 or 0, refused, unpack(totals)}
"""
)

# ARGV: id, how long it stays known, then the amount of each counter. `settled` only grows: who rebuilds compares it.
_SETTLE = (
    _COMMON
    + """
local id, known_for = ARGV[1], tonumber(ARGV[2])
for i = 1, #KEYS / 3 do
    local total, uses, ends, amount = KEYS[3 * i - 2], KEYS[3 * i - 1], KEYS[3 * i], ARGV[i + 2]
    local use = redis.call('HGET', uses, id)
    if not use or string.sub(use, 1, 1) == 'r' then
        let_go(total, uses, ends, id)
        if redis.call('HEXISTS', total, 'used') == 1 then redis.call('HINCRBY', total, 'used', amount) end
        redis.call('HINCRBY', total, 'settled', amount)
        redis.call('HINCRBY', total, 'settlements', 1)
        redis.call('HSET', uses, id, 's' .. amount)
        redis.call('ZADD', ends, text(now + known_for), id)
        keep(total, uses, ends)
    end
end
"""
)

_RELEASE = (
    _COMMON
    + """
for i = 1, #KEYS / 3 do
    local use = redis.call('HGET', KEYS[3 * i - 1], ARGV[1])
    if use and string.sub(use, 1, 1) == 'r' then let_go(KEYS[3 * i - 2], KEYS[3 * i - 1], KEYS[3 * i], ARGV[1]) end
end
"""
)

_LOOK = """
return {redis.call('HGET', KEYS[1], 'settled') or '0', redis.call('HGET', KEYS[1], 'settlements') or '0',
    redis.call('HGETALL', KEYS[2])}
"""

# ARGV: what was used when `settled` and `settlements` were so. Redis that lost them since then refuses.
_INSTALL = (
    _COMMON
    + """
if number(redis.call('HGET', KEYS[1], 'settlements')) < tonumber(ARGV[3]) then return 0 end
local since = number(redis.call('HGET', KEYS[1], 'settled')) - tonumber(ARGV[2])
redis.call('HSET', KEYS[1], 'used', text(tonumber(ARGV[1]) + since))
keep(KEYS[1], KEYS[2], KEYS[3])
return 1
"""
)


class QuotaExceeded(DomainError):
    """A hard amount is used up; `Retry-After` is when the next month begins."""

    code = "quota_exceeded"
    status = 429
    detail = (
        "All of the {label} that this month includes is used or reserved: {used} of {included}. It begins anew on"
        " {begins}; an operator can raise the amount before."
    )

    def __init__(self, *, retry_after_s: int, **params: Any) -> None:
        super().__init__(**params)
        self.headers = {"Retry-After": str(retry_after_s)}  # type: ignore[misc]


class StockExceeded(DomainError):
    """No month brings room for what is kept, so that no time to try again is told."""

    code = "quota_exceeded"
    status = 409
    detail = (
        "There is no room for it: {used} of {included} of {label} are used or reserved. Delete what is not needed"
        " any more, or have an operator raise the amount."
    )


def refusal(meter: Meter, used: int, included: int, now: datetime) -> DomainError:
    """What is told when `used` leaves no room within `included`."""
    told = {"label": meter.label.lower(), "used": meter.text(used), "included": meter.text(included)}
    if meter.is_stock:
        return StockExceeded(**told)
    begins = next_month(now)
    seconds = int((begins - now).total_seconds()) + 1
    return QuotaExceeded(retry_after_s=seconds, begins=f"{format_date(begins)} (UTC)", **told)


def month_of(now: datetime) -> datetime:
    """The beginning of the month, in UTC."""
    return now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def next_month(now: datetime) -> datetime:
    return month_of(month_of(now) + timedelta(days=31))


def period_of(meter: Meter, now: datetime) -> str:
    return ALWAYS if meter.is_stock else format_month(now.astimezone(UTC))


@dataclass(frozen=True, slots=True)
class Counter:
    """What is counted in one organization and period. Without a limit nothing is refused."""

    organization_id: str
    name: str
    period: str
    limit: int | None = field(default=None, compare=False)  # a raised one counts at once, for the same counter

    @property
    def keys(self) -> tuple[str, str, str]:
        key = f"quotas:{{{self.organization_id}}}:{self.name}:{self.period}"
        return key, f"{key}:uses", f"{key}:ends"


Amounts = Mapping[Counter, int]


@dataclass(frozen=True, slots=True)
class Reservation:
    """`refused` is the first counter whose limit would be passed, `unknown` the first one that Redis lost.

    `totals` are used and held by counter, with what was reserved now.
    """

    totals: Mapping[Counter, int]
    refused: Counter | None = None
    unknown: Counter | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """All that was ever settled, and by id what was settled lately; `held` are the ids of what will be."""

    amount: int
    count: int
    lately: Mapping[str, int]
    held: frozenset[str]


class Quotas:
    """The scripts, asked from where one may wait."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client

    def reserve(self, amounts: Amounts, use_id: UUID | str, ttl_ms: int) -> Reservation:
        """Reserve all of the amounts or none. The same id again reserves nothing more, and passes."""
        return _reservation(amounts, self._redis.eval(*_reserve(amounts, use_id, ttl_ms)))

    def settle(self, amounts: Amounts, use_id: UUID | str) -> None:
        """Count what was used in place of what was reserved, if anything was; once, however often it is told."""
        self._redis.eval(*_settle(amounts, use_id))

    def release(self, counters: Sequence[Counter], use_id: UUID | str) -> None:
        """Give back what was reserved and not settled."""
        self._redis.eval(*_release(counters, use_id))

    def settled(self, counter: Counter) -> Settled:
        amount, count, uses = cast(Any, self._redis.eval(_LOOK, 3, *counter.keys))
        known = {use_id.decode(): use for use_id, use in zip(uses[::2], uses[1::2], strict=True)}
        lately = {use_id: int(use[1:]) for use_id, use in known.items() if use.startswith(b"s")}
        return Settled(int(amount), int(count), lately, frozenset(known.keys() - lately.keys()))

    def install(self, counter: Counter, used: int, at: Settled) -> bool:
        """Put in force that `used` was used when `at` was settled. False: Redis has lost everything since then."""
        return self._redis.eval(_INSTALL, 3, *counter.keys, used, at.amount, at.count) == 1

    def unknown(self, counters: Sequence[Counter]) -> list[Counter]:
        """Those that Redis lost, or never knew."""
        with self._redis.pipeline(transaction=False) as pipe:
            for counter in counters:
                pipe.hexists(counter.keys[0], "used")
            return [counter for counter, is_known in zip(counters, pipe.execute(), strict=True) if not is_known]


class AsyncQuotas:
    """The same for an event loop. What is settled is sent a moment later, with what others settle meanwhile."""

    def __init__(self, client: AsyncRedis) -> None:
        self._redis = client

    async def reserve(self, amounts: Amounts, use_id: UUID | str, ttl_ms: int) -> Reservation:
        answer = await self._redis.eval(*_reserve(amounts, use_id, ttl_ms))
        return _reservation(amounts, answer)

    async def settle_all(self, settlements: Sequence[tuple[Amounts, UUID | str]]) -> None:
        """Settle several uses in one round trip. One without amounts above zero gives back what it reserved."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for amounts, use_id in settlements:
                used = any(amounts.values())
                pipe.eval(*(_settle(amounts, use_id) if used else _release(list(amounts), use_id)))
            await pipe.execute()


def _reserve(amounts: Amounts, use_id: UUID | str, ttl_ms: int) -> list[Any]:
    limits = chain.from_iterable(
        (-1 if counter.limit is None else counter.limit, amount) for counter, amount in amounts.items()
    )
    return _called(_RESERVE, list(amounts), use_id, ttl_ms, *limits)


def _settle(amounts: Amounts, use_id: UUID | str) -> list[Any]:
    return _called(_SETTLE, list(amounts), use_id, SETTLED_KEPT_MS, *amounts.values())


def _release(counters: Sequence[Counter], use_id: UUID | str) -> list[Any]:
    return _called(_RELEASE, counters, use_id)


def _called(script: str, counters: Sequence[Counter], use_id: UUID | str, *arguments: Any) -> list[Any]:
    keys = list(chain.from_iterable(counter.keys for counter in counters))
    return [script, len(keys), *keys, str(use_id), *arguments]


def _reservation(amounts: Amounts, answer: Any) -> Reservation:
    counters = list(amounts)
    state, number, *totals = answer
    if state == -1:
        return Reservation({}, unknown=counters[number - 1])
    known = dict(zip(counters, map(int, totals), strict=True))
    return Reservation(known, refused=None if state == 1 else counters[number - 1])
