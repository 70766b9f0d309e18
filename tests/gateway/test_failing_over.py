"""What becomes of a call whose upstream fails, through a real edge."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.edge.plane import Plane, Reply, made_plane, wait_until
from tests.gateway.plane import add_route, add_upstream, target
from tests.replica.models import ModelFiles
from tests.stand_ins import provider
from tests.stand_ins.provider import Behaviour, Provider
from tests.stand_ins.provider_answers import HELLO

ASK = [{"role": "user", "content": "Say good morning"}]


@pytest.fixture(scope="module")
def providers() -> Iterator[list[Provider]]:
    with ExitStack() as stack:
        yield [stack.enter_context(provider.running()) for _ in range(2)]


@pytest.fixture
def first(providers: list[Provider]) -> Provider:
    providers[0].forget()
    return providers[0]


@pytest.fixture
def second(providers: list[Provider]) -> Provider:
    providers[1].forget()
    return providers[1]


@pytest.fixture
def plane(tmp_path: Path, first: Provider, second: Provider) -> Iterator[Plane]:
    for made in made_plane(tmp_path, ModelFiles(tmp_path, tmp_path)):
        made.token = made.acme.token("gateway.call")
        one = add_upstream(made.acme, f"{first.url}/v1", secrets=("sk-one", "sk-two"))
        other = add_upstream(made.acme, f"{second.url}/v1")
        add_route(made.acme, "alone", target(one))
        add_route(made.acme, "chat", target(one), target(other, tier=1))
        add_route(made.acme, "long", target(one), target(other, tier=1, on=["context_length"]))
        add_route(made.acme, "hedged", target(one, weight=100), target(other, weight=0), hedge_after_ms=100)
        made.acme.publish()
        made.start_edge(OUTBOUND_ALLOWED_NETWORKS="127.0.0.0/8")
        yield made


def ask(plane: Plane, model: str = "chat", **body: Any) -> Reply:
    headers = {"authorization": f"Bearer {plane.token}", "content-type": "application/json"}
    return plane.edge.call("POST", "/v1/chat/completions", {"model": model, "messages": ASK, **body}, headers)


def recorded(plane: Plane, count: int = 1) -> list[dict[str, Any]]:
    return wait_until(
        lambda: found if len(found := plane.valkey.events("events:models")) >= count else None, "the calls' events"
    )


def text_of(reply: Reply) -> str:
    if not reply.headers["content-type"].startswith("text/event-stream"):
        return reply.json["choices"][0]["message"]["content"]
    lines = [line[6:] for line in reply.body.decode().split("\n\n") if line[6:] and line[6:] != "[DONE]"]
    return "".join(json.loads(line)["choices"][0]["delta"].get("content") or "" for line in lines)


FAILING: dict[str, Callable[[], Behaviour]] = {
    "server error": lambda: provider.refusing(500, "out of order", "server_error"),
    "overloaded": lambda: provider.refusing(529, "Overloaded", "overloaded_error"),
    "limited": lambda: provider.rate_limited("30"),
    "key refused": lambda: provider.refusing(401, "bad key sk-one-secret-key", "authentication_error"),
    "error in a success": provider.error_in_success,
    "closed": lambda: provider.closing,
    "garbled": lambda: provider.garbled(b"no HTTP\r\n\r\n"),
}


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("failing", FAILING)
def test_a_failure_before_the_answer_goes_over_to_the_next_tier(
    plane: Plane, first: Provider, failing: str, is_stream: bool
) -> None:
    first.answer = FAILING[failing]()
    reply = ask(plane, stream=is_stream)
    assert reply.status == 200, reply.body
    assert text_of(reply) == HELLO.text
    [call] = recorded(plane)
    assert [attempt["error_class"] == "" for attempt in call["attempts"]] == [False, True]
    assert "sk-one" not in json.dumps(call)


def test_a_request_that_is_wrong_is_wrong_everywhere(plane: Plane, first: Provider, second: Provider) -> None:
    first.answer = provider.refusing(400, "messages: too few", "invalid_request_error", "bad_messages")
    reply = ask(plane)
    assert (reply.status, reply.json["error"]["message"]) == (400, "messages: too few")
    assert not second.received


def test_a_later_tier_may_be_for_one_class_of_errors(plane: Plane, first: Provider, second: Provider) -> None:
    first.answer = provider.refusing(500, "out of order", "server_error")
    assert ask(plane, "long").status == 502
    assert not second.received
    first.answer = provider.refusing(
        400, "maximum context length is 8 tokens", "invalid_request_error", "context_length_exceeded"
    )
    assert ask(plane, "long").status == 200
    assert len(second.received) == 1


def test_a_limited_key_gives_way_to_the_next_one(plane: Plane, first: Provider) -> None:
    async def limited_once(visit: Any) -> None:
        if len(first.received) == 1:
            await provider.rate_limited("30")(visit)
        else:
            await provider.saying()(visit)

    first.answer = limited_once
    assert ask(plane, "alone").status == 200
    assert {received.headers["authorization"] for received in first.received} == {"Bearer sk-one", "Bearer sk-two"}


def test_a_failure_of_all_is_told_in_the_providers_words_without_its_key(plane: Plane, first: Provider) -> None:
    first.answer = provider.refusing(401, "Incorrect API key provided: sk-one-secret-key", "authentication_error")
    reply = ask(plane, "alone")
    assert reply.status == 502
    assert reply.json["error"]["code"] == "upstream_key_refused"
    assert "Incorrect API key" in reply.json["error"]["message"]
    assert "secret" not in reply.body.decode()


def test_retry_after_is_handed_on(plane: Plane, first: Provider) -> None:
    first.answer = provider.rate_limited("30")
    reply = ask(plane, "alone")
    assert (reply.status, reply.headers["retry-after"]) == (429, "30")


def test_a_stream_that_breaks_in_the_middle_ends_with_an_error_and_is_billed(plane: Plane, first: Provider) -> None:
    first.answer = provider.reset_after(3)
    reply = ask(plane, stream=True)
    assert reply.status == 200
    last = json.loads(reply.body.decode().rstrip().rsplit("data: ", 1)[1])
    assert last["error"]["code"] == "upstream_broken"
    [call] = recorded(plane)
    assert (call["error_class"], call["is_estimated"]) == ("broken", True)
    assert call["output_tokens"] > 0
    used = wait_until(lambda: plane.valkey.events("events:usage"), "the ledger's events")
    assert {event["meter"] for event in used} == {"input_tokens", "output_tokens"}


def test_a_slow_target_is_hedged_and_the_first_answer_counts(plane: Plane, first: Provider, second: Provider) -> None:
    first.answer = provider.late(30)
    reply = ask(plane, "hedged")
    assert reply.status == 200
    assert len(second.received) == 1
    [call] = recorded(plane)
    assert [attempt["is_hedge"] for attempt in call["attempts"]] == [False, True]


def test_an_upstream_that_keeps_failing_is_left_alone_for_a_while(plane: Plane, first: Provider) -> None:
    first.answer = provider.refusing(500, "out of order", "server_error")
    for _ in range(8):
        assert ask(plane).status == 200
    assert len(first.received) == 5


def test_when_nobody_may_be_asked_a_call_fails_at_once_until_one_shows_that_they_are_back(
    plane: Plane, first: Provider
) -> None:
    first.answer = provider.refusing(500, "out of order", "server_error")
    while len(first.received) < 5:
        assert ask(plane, "alone").status == 502
    asked = len(first.received)
    reply = ask(plane, "alone")
    assert (reply.status, reply.json["error"]["code"]) == (503, "upstream_overloaded")
    assert 1 <= int(reply.headers["retry-after"]) <= 2
    assert len(first.received) == asked
    first.answer = provider.saying()
    assert wait_until(lambda: ask(plane, "alone").status == 200, "the upstream to be asked again")
    assert len(first.received) == asked + 1
