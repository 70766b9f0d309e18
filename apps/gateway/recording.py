"""One event for each call of a model, whatever became of it. Imports no Django."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from apps.core.edge import Answer, Call, ClientGone, Proceed
from apps.core.errors import DomainError
from apps.gateway.exchange import Attempt, Exchange

STREAM = "events:models"
LONGEST_MESSAGE = 300


@dataclass(frozen=True, slots=True)
class Outcome:
    status: int
    error_code: str
    latency_us: int
    request_bytes: int
    response_bytes: int


async def record(call: Call, proceed: Proceed) -> Answer:
    """Leave one event of the call, refused ones included."""
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
        sent_bytes = response_bytes or call.reply.sent_bytes
        outcome = Outcome(status, error_code, latency_us, len(call.body), sent_bytes)
        call.events.append((STREAM, partial(_event, call, outcome)))


def _event(call: Call, outcome: Outcome) -> dict[str, Any]:
    exchange: Exchange = call.context
    route, target, tokens, key = exchange.route, exchange.target, exchange.tokens, call.token_id
    upstream = target.upstream if target else None
    first_token_us = None if exchange.first_token_ns is None else (exchange.first_token_ns - call.started_ns) // 1000
    return {
        "id": exchange.id,
        "organization_id": call.organization_id,
        "request_id": call.request_id,
        "at": datetime.fromtimestamp(call.ended_at - outcome.latency_us / 1e6, UTC),
        "face": exchange.face.value,
        "route": route.name if route else call.model,
        "route_id": route.id if route else None,
        "upstream_id": upstream.id if upstream else None,
        "upstream": (upstream.name if upstream else target.deployment) if target else "",
        "model": target.model if target else "",
        "status": outcome.status,
        "error_code": outcome.error_code or exchange.error_code,
        "error_class": exchange.error_class.value if exchange.error_class else "",
        "is_stream": exchange.is_stream,
        "latency_us": outcome.latency_us,
        "first_token_us": first_token_us,
        "input_tokens": tokens.input if tokens else None,
        "cached_tokens": tokens.cached if tokens else None,
        "cache_write_tokens": tokens.cache_write if tokens else None,
        "output_tokens": tokens.output if tokens else None,
        "reasoning_tokens": tokens.reasoning if tokens else None,
        "is_estimated": bool(tokens and tokens.is_estimated),
        "cost_micro_usd": exchange.cost,
        "saved_micro_usd": exchange.saved,
        "cache": exchange.cache,
        "attempts": [_attempt(one) for one in exchange.attempts],
        "tags": dict(exchange.tags),
        "token": key,
        "user": call.user_id,
        "client": call.client,
        "experiment": exchange.experiment,
        "fault": exchange.fault,
        "request_bytes": outcome.request_bytes,
        "response_bytes": outcome.response_bytes,
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    target = attempt.target
    return {
        "target": target.id,
        "upstream": target.upstream.name if target.upstream else target.deployment,
        "model": target.model,
        "key": attempt.key_id,
        "took_ms": round(attempt.took_s * 1000, 3),
        "status": attempt.status,
        "error_class": attempt.error_class.value if attempt.error_class else "",
        "message": attempt.message[:LONGEST_MESSAGE],
        "is_hedge": attempt.is_hedge,
    }
