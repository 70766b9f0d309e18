"""The call log: one record for each authenticated call, refused ones included."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import partial
from typing import Any

from apps.core.edge import Answer, Call, ClientGone, Proceed
from apps.core.errors import DomainError
from apps.core.ids import uuid7

STREAM = "events:calls"


async def record(call: Call, proceed: Proceed) -> Answer:
    """Add one call event, whatever becomes of the call."""
    status, error_code, response_bytes = 500, "unexpected", 0
    try:
        answer = await proceed(call)
        status, error_code, response_bytes = answer.status, "", len(answer.body)
        return answer
    except DomainError as error:
        status, error_code = error.status, error.code
        response_bytes = 0 if isinstance(error, ClientGone) else len(call.refusal(error, call.request_id).body)
        raise
    finally:
        latency_us = (time.perf_counter_ns() - call.started_ns) // 1000
        outcome = {
            "request_bytes": len(call.body),
            "status": status,
            "error_code": error_code,
            "response_bytes": response_bytes,
            "latency_us": latency_us,
        }
        call.events.append((STREAM, partial(_call_event, call, outcome)))


def _call_event(call: Call, outcome: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": uuid7(),
        "organization_id": call.organization_id,
        "request_id": call.request_id,
        "at": datetime.fromtimestamp(call.ended_at - outcome["latency_us"] / 1e6, UTC),
        "method": call.method,
        "path": call.path,
        "route": call.route,
        "token": call.token_id,
        "deployment": call.dimensions.get("deployment"),
        "replica": call.dimensions.get("replica"),
        "model": call.model,
        "client": call.client,
        **outcome,
    }
