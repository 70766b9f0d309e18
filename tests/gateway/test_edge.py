"""Calls of models through a real edge, in front of a provider that speaks over a socket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.edge.plane import Plane, made_plane, wait_until
from tests.gateway.plane import add_route, add_upstream, target
from tests.replica.models import ModelFiles
from tests.stand_ins import provider
from tests.stand_ins.provider import Provider
from tests.stand_ins.provider_answers import HELLO

ASK = [{"role": "user", "content": "Say good morning"}]


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    with provider.running() as started:
        yield started


@pytest.fixture
def stand_in(running: Provider) -> Provider:
    running.forget()
    return running


@pytest.fixture
def plane(tmp_path: Path, stand_in: Provider) -> Iterator[Plane]:
    for made in made_plane(tmp_path, ModelFiles(tmp_path, tmp_path)):
        made.token = made.acme.token("gateway.call")
        add_route(made.acme, "chat", target(add_upstream(made.acme, f"{stand_in.url}/v1")))
        made.acme.publish()
        made.start_edge(OUTBOUND_ALLOWED_NETWORKS="127.0.0.0/8")
        yield made


def ask(plane: Plane, path: str = "/v1/chat/completions", **body: Any) -> Any:
    headers = {"authorization": f"Bearer {plane.token}", "content-type": "application/json"}
    return plane.edge.call("POST", path, {"model": "chat", "messages": ASK, **body}, headers)


def events(plane: Plane, stream: str, count: int = 1) -> list[dict[str, Any]]:
    return wait_until(
        lambda: found if len(found := plane.valkey.events(stream)) >= count else None, f"{count} of {stream}"
    )


def test_an_answer_passes_through_and_leaves_its_events(plane: Plane, stand_in: Provider) -> None:
    reply = ask(plane)
    assert reply.status == 200, reply.body
    assert reply.json["choices"][0]["message"]["content"] == HELLO.text
    received = stand_in.received[0]
    assert received.json["model"] == "stand-in"
    assert received.headers["authorization"] == "Bearer sk-up"
    [call] = events(plane, "events:models")
    assert (call["route"], call["status"], call["cached_tokens"]) == ("chat", 200, HELLO.cached)
    used = {event["meter"]: event for event in events(plane, "events:usage", 3)}
    assert used["output_tokens"]["quantity"] == call["output_tokens"]
    assert sum(event["cost_micro_usd"] for event in used.values()) == call["cost_micro_usd"] > 0


def test_a_stream_passes_through_byte_for_byte(plane: Plane, stand_in: Provider) -> None:
    reply = ask(plane, stream=True)
    assert reply.headers["content-type"].startswith("text/event-stream")
    data = [json.loads(line[6:]) for line in reply.body.decode().split("\n\n") if line[6:] and line[6:] != "[DONE]"]
    assert "".join(one["choices"][0]["delta"].get("content") or "" for one in data) == HELLO.text
    assert reply.body.endswith(b"data: [DONE]\n\n")
    assert stand_in.received[0].json["stream_options"] == {"include_usage": True}
    assert not any(one.get("usage") for one in data)
    [call] = events(plane, "events:models")
    assert call["is_stream"]
    assert call["output_tokens"] == HELLO.output
    assert 0 < call["first_token_us"] <= call["latency_us"]


def test_a_model_that_is_not_there_is_told_in_the_callers_form(plane: Plane) -> None:
    reply = ask(plane, model="other")
    assert (reply.status, reply.json["error"]["code"]) == (404, "model_not_found")
    [call] = events(plane, "events:models")
    assert (call["status"], call["route"], call["error_code"]) == (404, "other", "model_not_found")


def test_nobody_calls_without_the_permission(plane: Plane) -> None:
    plane.token = plane.acme.token("predictions.create")
    plane.acme.publish()
    wait_until(lambda: ask(plane).status == 403, "the token")


def test_the_models_are_listed(plane: Plane) -> None:
    headers = {"authorization": f"Bearer {plane.token}"}
    reply = plane.edge.call("GET", "/v1/models", headers=headers)
    assert [model["id"] for model in reply.json["data"]] == ["chat"]
