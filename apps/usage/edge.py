"""Metering: what a call used becomes events of the one ledger, and what refuses is reserved before."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import partial
from typing import Any

from redis.asyncio import Redis

from apps.core.edge import Answer, Call, Proceed
from apps.core.ids import uuid7
from apps.usage.meters import PREDICTIONS
from apps.usage.quotas import Counter, period_of, refusal
from apps.usage.reservations import Reservations

STREAM = "events:usage"
SHAPE = re.compile(rb'"shape"\s*:\s*\[\s*(\d{1,9})')


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

    The rows are those that the body says; the replica's count is what is settled.
    """

    def __init__(self, redis: Redis) -> None:
        self._reservations = Reservations(redis)

    async def __call__(self, call: Call, proceed: Proceed) -> Answer:
        section = call.snapshot.sections.get("usage", {}) if call.snapshot else {}
        entitled = section.get(PREDICTIONS.name)
        if entitled is None:
            return await proceed(call)
        now = datetime.now(UTC)
        counter = Counter(str(call.organization_id), PREDICTIONS.name, period_of(PREDICTIONS, now), entitled["limit"])
        published = entitled["used"] if entitled["period"] == counter.period else 0
        use_id = call.event_ids[PREDICTIONS.name] = uuid7()
        held = await self._reservations.hold(counter, rows_of(call.body), use_id, published)
        if not held.is_allowed:
            raise refusal(PREDICTIONS, held.used, counter.limit or 0, now)
        try:
            return await proceed(call)
        finally:
            self._reservations.settle({counter: call.quantities.get(PREDICTIONS.name, 0)}, use_id)

    async def close(self) -> None:
        """Settle what waits."""
        await self._reservations.close()


def rows_of(body: bytes) -> int:
    """How many rows the body says that it holds, at least one: a used up amount lets nobody pass who says none."""
    found = SHAPE.search(body)
    return max(int(found[1]), 1) if found else 1
