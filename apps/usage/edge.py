"""Metering: what a call used becomes events of the one ledger."""

from __future__ import annotations

from datetime import UTC, datetime

from apps.core.edge import Answer, Call, Proceed
from apps.core.ids import uuid7

STREAM = "events:usage"


async def meter(call: Call, proceed: Proceed) -> Answer:
    """Add one usage event for each meter that the answered call counted. A refused call uses nothing."""
    answer = await proceed(call)
    if call.quantities:
        at = datetime.now(UTC).isoformat()
        dimensions = {"token": call.token_id, "model": call.model, "request_id": call.request_id, **call.dimensions}
        for name, quantity in call.quantities.items():
            event = {
                "id": str(uuid7()),
                "organization_id": call.organization_id,
                "meter": name,
                "quantity": quantity,
                "cost_micro_usd": None,
                "at": at,
                "dimensions": dimensions,
            }
            call.events.append((STREAM, event))
    return answer
