"""What a key may spend: money held for a call before it is sent, and settled when its cost is known. Imports no Django.

A counter is a key's budget in a day, a month or for ever, of UTC. One that Redis lost, and each now and then, is asked
to be made anew from the calls on record (`apps.gateway.spending`).
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from redis.asyncio import Redis
from redis.exceptions import RedisError

from apps.core.edge import Answer, Call, Proceed
from apps.core.errors import DomainError
from apps.core.formatting import format_date, format_day, format_money, format_month
from apps.costs import pricing
from apps.gateway.configuration import Key
from apps.gateway.enums import BudgetPeriod
from apps.gateway.exchange import Exchange
from apps.usage.quotas import ALWAYS, Counter, month_of, next_month
from apps.usage.reservations import Reservations

DOUBTED = "budgets:doubted"  # a set of "<organization> <key> <period>"
CHECKED_INTERVAL_S = 600.0
REMEMBERED = 20_000
DAY = timedelta(days=1)


class BudgetExceeded(DomainError):
    code = "budget_exceeded"
    status = 429
    detail = "This key may spend {budget} {period}, and {used} of that is spent or held by calls under way. {renewal}"

    def __init__(self, counter: Counter, period: BudgetPeriod, used: int, now: datetime) -> None:
        renewed = renewed_at(period, now)
        if renewed is None:
            told = "Raise its budget, or use another key."
        else:
            self.headers = {"Retry-After": str(int((renewed - now).total_seconds()) + 1)}  # type: ignore[misc]
            told = f"It begins anew on {format_date(renewed)} (UTC)."
        words = {BudgetPeriod.TOTAL: "in all"}.get(period, f"a {period}")
        super().__init__(budget=format_money(counter.limit), period=words, used=format_money(used), renewal=told)


class Unpriced(DomainError):
    code = "model_unpriced"
    status = 403
    detail = (
        "`{name}` may lead to a model without a known price, so that no budget could hold what it costs. Say its price"
        " on the page of prices, or use a key without a budget."
    )


def name_of(key_id: str) -> str:
    return f"budget-{key_id}"


def period_name(period: BudgetPeriod, now: datetime) -> str:
    match period:
        case BudgetPeriod.DAY:
            return format_day(now.astimezone(UTC))
        case BudgetPeriod.MONTH:
            return format_month(now.astimezone(UTC))
    return ALWAYS


def began_at(period: BudgetPeriod, now: datetime) -> datetime | None:
    """The beginning of the period that `now` is in; None for all time."""
    if period == BudgetPeriod.TOTAL:
        return None
    month = month_of(now)
    return month if period == BudgetPeriod.MONTH else month + (now.astimezone(UTC) - month) // DAY * DAY


def renewed_at(period: BudgetPeriod, now: datetime) -> datetime | None:
    """When the next period begins; None for all time."""
    began = began_at(period, now)
    if began is None:
        return None
    return next_month(now) if period == BudgetPeriod.MONTH else began + DAY


def expected(exchange: Exchange) -> int | None:
    """The most, in micro-USD, that a target of the route would take for the call; None if one has no price."""
    counted = {"input_tokens": exchange.input_estimate, "output_tokens": exchange.output_most}
    now, most = time.time(), 0
    for target in exchange.route.targets if exchange.route else ():
        cost = pricing.cost(target.prices, counted, now)
        if cost is None:
            return None
        most = max(most, sum(cost.values()))
    return most


class WithinBudget:
    """The stage that holds a call's expected cost against the budget of its key, and settles the real one.

    What costs nothing passes whatever was spent. An answer from the cache costs nothing, but nobody knows that yet when
    the money is held, so that a key that has spent all gets none.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._reservations = Reservations(redis)
        self._checked: dict[Counter, float] = {}
        self._telling: set[asyncio.Task[None]] = set()

    async def __call__(self, call: Call, proceed: Proceed) -> Answer:
        exchange: Exchange = call.context
        key = exchange.key
        if key is None or key.budget is None:
            return await proceed(call)
        most = expected(exchange)
        if most is None:
            raise Unpriced(name=exchange.route.name if exchange.route else "")
        if most == 0:
            return await proceed(call)
        counter = await self._hold(call, key, most)
        try:
            return await proceed(call)
        finally:
            self._reservations.settle({counter: sum(call.costs.values())}, exchange.id)

    async def _hold(self, call: Call, key: Key, most: int) -> Counter:
        """Raises BudgetExceeded."""
        budget = key.budget or {}
        now, period = datetime.now(UTC), BudgetPeriod(budget["period"])
        counter = Counter(str(call.organization_id), name_of(key.id), period_name(period, now), budget["limit"])
        published = budget["used"] if budget["counted"] == counter.period else 0
        exchange: Exchange = call.context
        held = await self._reservations.hold(counter, most, exchange.id, published)
        self._doubt(counter, key.id, is_known=held.is_known)
        if not held.is_allowed:
            raise BudgetExceeded(counter, period, held.used, now)
        return counter

    def _doubt(self, counter: Counter, key_id: str, *, is_known: bool) -> None:
        """Ask for the counter to be made anew, if Redis does not know it or nobody asked lately."""
        now = asyncio.get_running_loop().time()
        if now - self._checked.get(counter, float("-inf")) < (CHECKED_INTERVAL_S if is_known else 1.0):
            return
        if len(self._checked) >= REMEMBERED:
            self._checked.clear()
        self._checked[counter] = now
        task = asyncio.create_task(self._tell(f"{counter.organization_id} {key_id} {counter.period}"))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell(self, counter: str) -> None:
        with suppress(RedisError, OSError):  # then the next call tells it
            await self._redis.sadd(DOUBTED, counter)

    async def close(self) -> None:
        """Settle what waits."""
        await self._reservations.close()
