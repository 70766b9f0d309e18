"""Calls of models in the data plane: the stages that find out what is asked, and what the answer cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from pydantic_core import from_json

from apps.core.edge import Answer, Call, Proceed, Stage, json_answer
from apps.costs import pricing
from apps.gateway import refusals
from apps.gateway.configuration import Route, gateway_of
from apps.gateway.counting import count_request
from apps.gateway.dialects.faces import described, listed
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
    exchange.is_stream = body.get("stream") is True and exchange.face != Face.INFER
    exchange.output_most = _output_most(exchange.face, body)
    exchange.input_estimate = 0 if exchange.face == Face.INFER else count_request(body, len(call.body))
    if (told := call.headers.get(METADATA)) is not None:
        exchange.tags = {**_metadata(told), **exchange.tags}  # what a key is tagged with, its holder cannot change
    for tag, dimension in DIMENSIONS.items():
        if value := exchange.tags.get(tag):
            call.dimensions[dimension] = value
    if len(call.body) > route.max_request_bytes:
        raise refusals.RequestTooLarge(name=route.name, size=len(call.body), limit_bytes=route.max_request_bytes)
    return await proceed(call)


def usable(exchange: Exchange) -> list[Route]:
    """The routes that the caller's key may use, by name."""
    allowed = exchange.key.routes if exchange.key else None
    routes = sorted(exchange.gateway.routes.items())
    return [route for name, route in routes if allowed is None or name in allowed]


def expected(call: Call) -> dict[str, int]:
    """What limits by tokens and cost hold for a call until it is known."""
    exchange: Exchange = call.context
    return {"tokens": exchange.input_estimate + exchange.output_most, "cost": _expected_cost(exchange)}


def _expected_cost(exchange: Exchange) -> int:
    """The most that the route's first targets would take for what is expected; an unpriced one takes nothing."""
    counted = {"input_tokens": exchange.input_estimate, "output_tokens": exchange.output_most}
    targets = exchange.route.targets if exchange.route else ()
    now = time.time()
    costs = [pricing.cost(target.prices, counted, now) for target in targets if target.tier == targets[0].tier]
    return max((sum(cost.values()) for cost in costs if cost), default=0)


async def price(call: Call, proceed: Proceed) -> Answer:
    """Say of an answered call what the ledger and the limits are to count: its tokens by class, and their cost."""
    answer = await proceed(call)
    exchange: Exchange = call.context
    tokens, target = exchange.tokens, exchange.target
    if tokens is None or target is None:
        return answer
    counted = tokens.by_meter()
    costs = pricing.cost(target.prices, counted, time.time())
    whole = None if costs is None else sum(costs.values())
    if exchange.cache:
        exchange.cost, exchange.saved = 0, whole
        return answer
    exchange.cost = whole
    call.quantities.update(counted)
    call.costs.update(costs or {})
    call.taken.update(tokens=sum(counted.values()), cost=whole or 0)
    return answer


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
    is_short = isinstance(value, str) and 0 < len(name) <= LONGEST_TAG and len(value) <= LONGEST_TAG
    return is_short and "\x00" not in name + value


def has_route(call: Call) -> bool:
    """Whether the organization has a route of the name in the path."""
    return call.parameters["name"] in gateway_of(call.snapshot).routes


def described_route(is_ready: Callable[[Route], bool]) -> tuple[Proceed, Proceed]:
    """What the Open Inference Protocol tells of a route: its metadata, and whether somebody would answer."""

    async def metadata(call: Call) -> Answer:
        return json_answer({"name": _named(call).name, "platform": "modelyard_route", "inputs": [], "outputs": []})

    async def ready(call: Call) -> Answer:
        route = _named(call)
        answers = is_ready(route)
        return json_answer({"name": route.name, "ready": answers}, 200 if answers else 503)

    return metadata, ready


def _named(call: Call) -> Route:
    """The route in the path, if the caller's key may use it."""
    return _route(call, call.context, {})


async def unstored(call: Call) -> Answer:
    """Answers are not kept by the gateway, so that none can be fetched again."""
    raise refusals.AnswerNotKept(name=call.parameters["name"][:LONGEST_TAG])


async def models(call: Call) -> Answer:
    """The models that the caller's key may use."""
    exchange: Exchange = call.context
    return json_answer(listed(call.headers, [route.name for route in usable(exchange)]))


async def model(call: Call) -> Answer:
    exchange: Exchange = call.context
    name = call.parameters["name"]
    if name not in {route.name for route in usable(exchange)}:
        raise refusals.ModelUnknown(name=name[:LONGEST_TAG])
    return json_answer(described(call.headers, name))
