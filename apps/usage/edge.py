"""Metering: what a call used becomes events of the one ledger, and what refuses is reserved before."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from apps.core.edge import Answer, Call, Proceed
from apps.core.ids import uuid7
from apps.usage.meters import PREDICTIONS
from apps.usage.quotas import Amounts, AsyncQuotas, Counter, period_of, refusal

STREAM = "events:usage"
RESERVED_MS = 60_000  # a call is answered or given up before
BATCH = 500
UNSENT_LIMIT = 50_000
SHAPE = re.compile(rb'"shape"\s*:\s*\[\s*(\d{1,9})')

log = structlog.get_logger(__name__)


async def meter(call: Call, proceed: Proceed) -> Answer:
    """Add one usage event for each meter that the answered call counted. A refused call uses nothing."""
    answer = await proceed(call)
    for name in call.quantities:
        call.events.append((STREAM, partial(_usage_event, call, name)))
    return answer


def _usage_event(call: Call, meter: str) -> dict[str, Any]:
    known = {"token": call.token_id, "user": call.user_id, "model": call.model, "request_id": call.request_id}
    return {
        "id": call.event_ids.get(meter) or uuid7(),
        "organization_id": call.organization_id,
        "meter": meter,
        "quantity": call.quantities[meter],
        "cost_micro_usd": call.costs.get(meter),
        "at": datetime.fromtimestamp(call.ended_at, UTC),
        "dimensions": {**known, **call.dimensions},
    }


class WithinQuota:
    """The stage that reserves the rows of a call's prediction where an amount of them refuses, and settles afterwards.

    The rows are those that the body says; the replica's count is what is settled. While Redis is away or does not know
    the counter, this process counts by itself from the last amount that it knows.
    """

    def __init__(self, redis: Redis) -> None:
        self._quotas = AsyncQuotas(redis)
        self._unsent: deque[tuple[Amounts, UUID]] = deque(maxlen=UNSENT_LIMIT)
        self._sending: asyncio.Task[None] | None = None
        self._known: dict[Counter, int] = {}
        self._alone: dict[Counter, int] = {}

    async def __call__(self, call: Call, proceed: Proceed) -> Answer:
        section = call.snapshot.sections.get("usage", {}) if call.snapshot else {}
        entitled = section.get(PREDICTIONS.name)
        if entitled is None:
            return await proceed(call)
        now = datetime.now(UTC)
        counter = Counter(str(call.organization_id), PREDICTIONS.name, period_of(PREDICTIONS, now), entitled["limit"])
        published = entitled["used"] if entitled["period"] == counter.period else 0
        use_id = call.event_ids[PREDICTIONS.name] = uuid7()
        await self._reserve(counter, rows_of(call.body), use_id, published)
        try:
            return await proceed(call)
        finally:
            self._settle({counter: call.quantities.get(PREDICTIONS.name, 0)}, use_id)

    async def _reserve(self, counter: Counter, rows: int, use_id: UUID, published: int) -> None:
        try:
            answer = await self._quotas.reserve({counter: rows}, use_id, RESERVED_MS)
        except (RedisError, OSError):
            self._reserve_alone(counter, rows, published)
            return
        if answer.unknown:
            self._reserve_alone(counter, rows, published)
            return
        self._alone.pop(counter, None)
        self._known[counter] = answer.totals[counter]
        if answer.refused:
            raise _refusal(counter, answer.totals[counter])

    def _reserve_alone(self, counter: Counter, rows: int, published: int) -> None:
        used = max(published, self._known.get(counter, 0)) + self._alone.get(counter, 0)
        if used + rows > (counter.limit or 0):
            raise _refusal(counter, used)
        self._alone[counter] = self._alone.get(counter, 0) + rows

    def _settle(self, amounts: Amounts, use_id: UUID) -> None:
        """Have it told to Redis, while the caller has its answer already."""
        self._unsent.append((amounts, use_id))
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send(), name="usage.settle")

    async def _send(self) -> None:
        while self._unsent:
            batch = [self._unsent.popleft() for _ in range(min(BATCH, len(self._unsent)))]
            try:
                await self._quotas.settle_all(batch)
            except (RedisError, OSError) as error:
                # The next call tries again. Whatever is lost here is in the ledger, by which counters are corrected.
                self._unsent.extendleft(reversed(batch))
                log.warning("not_settled", waiting=len(self._unsent), error=str(error))
                return

    async def close(self) -> None:
        """Settle what waits."""
        if self._sending:
            await self._sending


def rows_of(body: bytes) -> int:
    """How many rows the body says that it holds, at least one: a used up amount lets nobody pass who says none."""
    found = SHAPE.search(body)
    return max(int(found[1]), 1) if found else 1


def _refusal(counter: Counter, used: int) -> Exception:
    return refusal(PREDICTIONS, used, counter.limit or 0, datetime.now(UTC))
