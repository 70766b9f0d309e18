"""Calls of models in the data plane: the stages that find out what is asked, and what the answer cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json

from apps.core.edge import Answer, Call, Proceed, Stage, json_answer
from apps.gateway import refusals
from apps.gateway.configuration import Gateway, Route, gateway_of
from apps.gateway.enums import Face
from apps.gateway.exchange import Exchange

METADATA = b"x-metadata"
MOST_TAGS = 16
LONGEST_TAG = 100
# Tags that are dimensions of the ledger.
DIMENSIONS = {"prompt": "prompt", "feature": "tag"}
LENGTHS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
USUAL_OUTPUT = 1_000  # tokens, of a call that says nothing of its answer's length


def begin(face: Face) -> Stage:
    """Open the exchange of an authenticated call, so that it is recorded whatever becomes of it."""

    async def stage(call: Call, proceed: Proceed) -> Answer:
        gateway = gateway_of(call.snapshot)
        key = gateway.keys.get(call.token_id or "")
        call.context = Exchange(face, gateway, key, tags=key.tags if key else {})
        return await proceed(call)

    return stage


async def read(call: Call, proceed: Proceed) -> Answer:
    """Read which model is asked for, and find its route among those that the caller's key may use."""
    exchange: Exchange = call.context
    exchange.raw = call.body
    exchange.body = body = _parsed(call.body)
    exchange.route = route = _route(call, exchange, body)
    exchange.is_stream = body.get("stream") is True
    exchange.output_most = _output_most(exchange.face, body)
    if (told := call.headers.get(METADATA)) is not None:
        exchange.tags = {**_metadata(told), **exchange.tags}  # what a key is tagged with, its holder cannot change
    for tag, dimension in DIMENSIONS.items():
        if value := exchange.tags.get(tag):
            call.dimensions[dimension] = value
    if len(call.body) > route.max_request_bytes:
        raise refusals.RequestTooLarge(name=route.name, size=len(call.body), limit_bytes=route.max_request_bytes)
    return await proceed(call)


def usable(gateway: Gateway, exchange: Exchange) -> list[Route]:
    """The routes that the caller's key may use, by name."""
    allowed = exchange.key.routes if exchange.key else None
    return [route for name, route in sorted(gateway.routes.items()) if allowed is None or name in allowed]


def _route(call: Call, exchange: Exchange, body: Mapping[str, Any]) -> Route:
    name = call.parameters.get("name") or body.get("model")
    if not isinstance(name, str) or not name:
        raise refusals.ModelMissing(field="model")
    call.model = name
    route = exchange.gateway.routes.get(name)
    allowed = exchange.key.routes if exchange.key else None
    if route is None or (allowed is not None and name not in allowed):
        raise refusals.ModelUnknown(field="model", name=name[:LONGEST_TAG])
    return route


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        told = from_json(body)
    except ValueError as error:
        raise refusals.BodyUnreadable(reason=str(error)) from None
    if not isinstance(told, dict):
        raise refusals.BodyUnreadable(reason=f"it is a {type(told).__name__}")
    return told


def _output_most(face: Face, body: Mapping[str, Any]) -> int:
    if face in {Face.EMBEDDINGS, Face.INFER}:
        return 0
    told = next((body[name] for name in LENGTHS if isinstance(body.get(name), int)), USUAL_OUTPUT)
    count = body.get("n")
    return max(told, 0) * (count if isinstance(count, int) and 1 <= count <= 128 else 1)


def _metadata(header: bytes) -> dict[str, str]:
    try:
        told = from_json(header)
    except ValueError:
        told = None
    if not isinstance(told, dict) or len(told) > MOST_TAGS or not all(map(_is_tag, told.items())):
        raise refusals.MetadataUnreadable(most=MOST_TAGS, longest=LONGEST_TAG)
    return told


def _is_tag(item: tuple[str, Any]) -> bool:
    name, value = item
    return isinstance(value, str) and 0 < len(name) <= LONGEST_TAG and len(value) <= LONGEST_TAG


async def unstored(call: Call) -> Answer:
    """Answers are not kept by the gateway, so that none can be fetched again."""
    raise refusals.ModelUnknown(name=call.parameters["name"])


def models_answer(call: Call) -> Answer:
    exchange: Exchange = call.context
    return json_answer({"data": [route.name for route in usable(exchange.gateway, exchange)]})
