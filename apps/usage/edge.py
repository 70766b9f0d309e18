"""Metering: what a call used becomes events of the one ledger."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

from apps.core.edge import Answer, Call, Proceed
from apps.core.ids import uuid7

STREAM = "events:usage"


async def meter(call: Call, proceed: Proceed) -> Answer:
    """Add one usage event for each meter that the answered call counted. A refused call uses nothing."""
    answer = await proceed(call)
    for name in call.quantities:
        call.events.append((STREAM, partial(_usage_event, call, name)))
    return answer


def _usage_event(call: Call, meter: str) -> dict[str, Any]:
    dimensions = {"token": call.token_id, "model": call.model, "request_id": call.request_id, **call.dimensions}
    return {
        "id": uuid7(),
        "organization_id": call.organization_id,
        "meter": meter,
        "quantity": call.quantities[meter],
        "cost_micro_usd": None,
        "at": datetime.fromtimestamp(call.ended_at, UTC),
        "dimensions": dimensions,
    }
