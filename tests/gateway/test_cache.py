"""Answers from the cache, through a real edge with a real Valkey in front of a provider that speaks over a socket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.gateway.cache import canonical, clear
from apps.gateway.enums import Face
from tests.edge.plane import Plane, Server, made_plane, wait_until
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
        upstream = add_upstream(made.acme, f"{stand_in.url}/v1")
        kept = {"mode": "exact", "ttl_s": 60, "threshold": 0.95}
        made.route_id = add_route(made.acme, "chat", target(upstream), cache=kept)
        made.acme.publish()
        made.start_edge(OUTBOUND_ALLOWED_NETWORKS="127.0.0.0/8")
        yield made


def ask(plane: Plane, headers: dict[str, str] | None = None, **body: Any) -> Any:
    told = {"authorization": f"Bearer {plane.token}", "content-type": "application/json", **(headers or {})}
    return plane.edge.call("POST", "/v1/chat/completions", {"model": "chat", "messages": ASK, **body}, told)


def fill(plane: Plane, **body: Any) -> None:
    """Ask until the answer comes from the cache: it is stored while its first caller reads it."""
    assert ask(plane, **body).headers["x-cache"] == "miss"
    wait_until(lambda: ask(plane).headers["x-cache"] == "hit", "the stored answer")


def said(stream: bytes) -> str:
    data = [line[6:] for line in stream.decode().split("\n\n") if line[6:] and line[6:] != "[DONE]"]
    return "".join(one["choices"][0]["delta"].get("content") or "" for one in map(json.loads, data))


def test_an_equal_call_is_answered_from_the_cache_and_costs_nothing(plane: Plane, stand_in: Provider) -> None:
    fill(plane)
    asked = len(stand_in.received)
    again = ask(plane, user="somebody else")
    assert again.json["choices"][0]["message"]["content"] == HELLO.text
    assert int(again.headers["age"]) >= 0
    assert len(stand_in.received) == asked
    calls = wait_until(lambda: [e for e in plane.valkey.events("events:models") if e["cache"]], "the hit's event")
    assert calls[0]["cost_micro_usd"] == 0
    assert calls[0]["saved_micro_usd"] > 0


def test_a_whole_answer_is_replayed_as_a_stream(plane: Plane) -> None:
    fill(plane)
    reply = ask(plane, stream=True)
    assert (reply.headers["x-cache"], said(reply.body)) == ("hit", HELLO.text)
    assert reply.body.endswith(b"data: [DONE]\n\n")


def test_a_stream_is_replayed_as_a_whole_answer(plane: Plane) -> None:
    fill(plane, stream=True)
    reply = ask(plane)
    assert reply.json["object"] == "chat.completion"
    assert reply.json["choices"][0]["message"]["content"] == HELLO.text
    assert reply.json["usage"]["completion_tokens"] == HELLO.output


def test_callers_say_what_is_read_and_written(plane: Plane) -> None:
    for _ in range(2):
        assert ask(plane, {"cache-control": "no-store"}).headers["x-cache"] == "miss"
    fill(plane)
    assert ask(plane, {"cache-control": "no-cache"}).headers["x-cache"] == "miss"
    assert ask(plane, {"x-cache-namespace": "other"}).headers["x-cache"] == "miss"


def test_a_cleared_cache_is_not_read(plane: Plane) -> None:
    fill(plane)
    clear(plane.valkey.client, str(plane.acme.id), plane.route_id, 60)
    assert ask(plane).headers["x-cache"] == "miss"


def test_the_order_in_which_a_request_is_written_says_nothing() -> None:
    one = canonical(Face.CHAT, {"messages": ASK, "stop": ["a", "b"], "temperature": 0, "stream": True}, "")
    assert one == canonical(Face.CHAT, {"temperature": 0, "user": "u", "stop": ["b", "a"], "messages": ASK}, "")
    assert one != canonical(Face.CHAT, {"temperature": 1, "stop": ["b", "a"], "messages": ASK}, "")
    assert one != canonical(Face.CHAT, {"temperature": 0, "stop": ["b", "a"], "messages": ASK}, "elsewhere")


@pytest.fixture(scope="module")
def model_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = Server(tmp_path_factory.mktemp("llm"), "workers.llm")
    yield f"http://127.0.0.1:{server.port}/v1"
    server.process.terminate()
    server.process.wait(10)


@pytest.fixture
def similar(tmp_path: Path, stand_in: Provider, model_server: str) -> Iterator[Plane]:
    for made in made_plane(tmp_path, ModelFiles(tmp_path, tmp_path)):
        made.token = made.acme.token("gateway.call")
        upstream = add_upstream(made.acme, f"{stand_in.url}/v1")
        add_route(made.acme, "chat", target(upstream), cache={"mode": "semantic", "ttl_s": 60, "threshold": 0.9})
        made.acme.publish()
        made.start_edge(OUTBOUND_ALLOWED_NETWORKS="127.0.0.0/8", LLM_URL=model_server)
        yield made


def test_a_similar_question_is_answered_and_another_is_not(similar: Plane) -> None:
    def of(text: str, **fields: Any) -> str:
        return ask(similar, messages=[{"role": "user", "content": text}], **fields).headers["x-cache"]

    assert of("How can I reset my password?") == "miss"
    wait_until(lambda: of("How do I reset my password?") == "semantic", "the similar answer")
    assert of("How do I close my account?") == "miss"
    assert of("How would I reset my password?", temperature=1.5) == "miss"
    assert of("How would I reset my password?", seed=7) == "miss"
