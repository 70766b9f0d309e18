"""Whatever an upstream does: what the caller sees, what is written down, and who answers instead."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable
from typing import Any

import openai
import pytest

from tests.edge.plane import wait_until
from tests.gateway.conformance.conftest import QUICK, SECRET, Gateway
from tests.gateway.plane import add_route, add_upstream, target
from tests.stand_ins import provider
from tests.stand_ins.provider import Behaviour
from tests.stand_ins.provider_answers import HELLO

ASK = [{"role": "user", "content": "Say good morning"}]
TOO_LONG = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."
FILTERED = "The response was filtered"
HUGE = 50_000_000
NUMBERS = itertools.count()
# How an upstream fails, the status that the caller gets, and what the failure is called.
FAULTS: dict[str, tuple[Behaviour, int, str]] = {
    "late headers": (provider.late(30), 504, "timeout"),
    "silence": (provider.hanging, 504, "timeout"),
    "a byte now and then": (provider.dripping(0.1), 504, "timeout"),
    "no answer": (provider.closing, 502, "broken"),
    "a reset": (provider.reset_after(20), 502, "broken"),
    "too short": (provider.wrong_length(5), 502, "broken"),
    "too long": (provider.wrong_length(-5), 502, "broken"),
    "a web page": (provider.garbled(b"<html>Bad gateway</html>"), 502, "broken"),
    "an error in success": (provider.error_in_success(), 502, "server_error"),
    "50 MB": (provider.huge(HUGE), 502, "broken"),
    "limited": (provider.rate_limited("17"), 429, "rate_limited"),
    "the key is refused": (
        provider.refusing(401, f"Incorrect API key provided: {SECRET}", "invalid_request_error", "invalid_api_key"),
        502,
        "key_refused",
    ),
    "a server error": (provider.refusing(500, "It broke", "server_error"), 502, "server_error"),
    "overloaded": (provider.refusing(529, "Overloaded", "overloaded_error"), 503, "overloaded"),
    "unavailable": (provider.refusing(503, "Not now", "server_error"), 503, "overloaded"),
}
OWN_FAULTS: dict[str, tuple[Behaviour, int, str]] = {
    "too much": (
        provider.refusing(400, TOO_LONG, "invalid_request_error", "context_length_exceeded"),
        400,
        "context_length",
    ),
    "filtered": (provider.refusing(400, FILTERED, "invalid_request_error", "content_filter"), 400, "content_filter"),
    "invalid": (provider.refusing(400, "Unknown field", "invalid_request_error"), 400, "invalid_request"),
}
MIDDLE = {"a reset", "too short", "too long", "50 MB"}  # what is streamed fails so in the middle only


def every(faults: Iterable[str]) -> Any:
    """Each fault that comes before an answer, of whole answers and of streams."""
    cases = [(fault, is_stream) for fault in faults for is_stream in (False, True)]
    kept = [(fault, is_stream) for fault, is_stream in cases if not (is_stream and fault in MIDDLE)]
    ids = [f"{fault}, {'streamed' if is_stream else 'whole'}" for fault, is_stream in kept]
    return pytest.mark.parametrize(("fault", "is_stream"), kept, ids=ids)


def route(gateway: Gateway, **columns: Any) -> str:
    """A route to an upstream of its own, of whom nothing is known yet, and, `with_second`, to another behind it."""
    with_second = columns.pop("with_second", False)
    acme, name = gateway.plane.acme, f"faulty-{next(NUMBERS)}"
    targets = [target(add_upstream(acme, f"{gateway.first.url}/v1", secrets=(SECRET,)))]
    if with_second:
        targets.append(target(add_upstream(acme, f"{gateway.second.url}/v1"), tier=1))
    add_route(acme, name, *targets, **{"attempts": len(targets), **QUICK, **columns})
    acme.publish()
    headers = {"authorization": f"Bearer {gateway.key}"}
    wait_until(lambda: gateway.plane.edge.call("GET", f"/v1/models/{name}", headers=headers).status == 200, name)
    return name


def ask(gateway: Gateway, name: str, **more: Any) -> Any:
    return gateway.openai.chat.completions.create(model=name, messages=ASK, **more)


def used(gateway: Gateway, name: str) -> int:
    """The tokens of a route in the ledger's stream."""
    mine = [event for event in gateway.events("events:usage") if event["dimensions"]["model"] == name]
    return sum(event["quantity"] for event in mine if event["meter"].endswith("_tokens"))


@every([*FAULTS, *OWN_FAULTS])
def test_a_failure_before_the_answer(gateway: Gateway, fault: str, is_stream: bool) -> None:
    behaviour, status, error_class = {**FAULTS, **OWN_FAULTS}[fault]
    gateway.first.answer, name = behaviour, route(gateway)
    began = time.monotonic()
    with pytest.raises(openai.APIStatusError) as refused:
        ask(gateway, name, stream=is_stream)
    event = gateway.recorded(name)
    assert refused.value.status_code == event["status"] == status
    assert [one["error_class"] for one in event["attempts"]] == [error_class]
    assert event["error_class"] == error_class
    assert time.monotonic() - began < QUICK["deadline_ms"] / 1000 + 1
    assert SECRET not in refused.value.response.text + str(event)
    assert event["cost_micro_usd"] is None
    assert used(gateway, name) == 0


def test_the_providers_words_and_waits_are_told(gateway: Gateway) -> None:
    name = route(gateway)
    for behaviour, words in ((OWN_FAULTS["too much"][0], TOO_LONG), (FAULTS["limited"][0], "Rate limit reached")):
        gateway.first.next.append(behaviour)
        with pytest.raises(openai.APIStatusError) as refused:
            ask(gateway, name)
        assert words in refused.value.message
    assert refused.value.response.headers["retry-after"] == "17"


@pytest.mark.parametrize("behaviour", [provider.old(), provider.dripping(0.0)], ids=["HTTP/1.0", "byte by byte"])
def test_what_is_odd_and_still_whole(gateway: Gateway, behaviour: Behaviour) -> None:
    name = route(gateway)
    gateway.first.next.append(behaviour)
    assert ask(gateway, name).choices[0].message.content == HELLO.text


@every(FAULTS)
def test_a_second_target_answers_instead(gateway: Gateway, fault: str, is_stream: bool) -> None:
    behaviour, _, error_class = FAULTS[fault]
    gateway.first.answer, name = behaviour, route(gateway, with_second=True, deadline_ms=8_000)
    answer = ask(gateway, name, stream=is_stream)
    said = (
        "".join(chunk.choices[0].delta.content or "" for chunk in answer if chunk.choices)
        if is_stream
        else answer.choices[0].message.content
    )
    assert said == HELLO.text
    event = gateway.recorded(name)
    assert [one["error_class"] for one in event["attempts"]] == [error_class, ""]
    assert event["status"] == 200
    assert event["error_class"] == ""
    assert wait_until(lambda: used(gateway, name), "what was used") == HELLO.input + HELLO.cached + HELLO.output


@pytest.mark.parametrize("fault", OWN_FAULTS)
def test_the_callers_own_fault_is_sent_to_nobody_else(gateway: Gateway, fault: str) -> None:
    gateway.first.answer, name = OWN_FAULTS[fault][0], route(gateway, with_second=True)
    with pytest.raises(openai.BadRequestError):
        ask(gateway, name)
    assert not gateway.second.received


@pytest.mark.parametrize(
    ("behaviour", "error_class"),
    [
        (provider.reset_after(3), "broken"),
        (provider.stopping_after(3), "timeout"),
        (provider.refusing_after(3), "overloaded"),
    ],
    ids=["a reset", "silence", "an error"],
)
def test_p9_a_failure_in_mid_stream_ends_it_and_what_was_seen_is_billed_once(
    gateway: Gateway, behaviour: Behaviour, error_class: str
) -> None:
    gateway.first.answer, name = behaviour, route(gateway, with_second=True)
    said = ""
    with pytest.raises(openai.APIError):
        for chunk in ask(gateway, name, stream=True):
            said += chunk.choices[0].delta.content or ""
    assert said == "".join(HELLO.words[:2])
    event = gateway.recorded(name)
    assert (event["status"], event["error_class"], event["is_estimated"]) == (200, error_class, True)
    assert event["output_tokens"] > 0
    assert not gateway.second.received
    told = event["input_tokens"] + event["output_tokens"]
    assert wait_until(lambda: used(gateway, name), "what was used") == told


def test_p9_a_caller_who_leaves_is_billed_what_was_seen_once(gateway: Gateway) -> None:
    gateway.first.answer, name = provider.saying(pause_s=0.2), route(gateway)
    with ask(gateway, name, stream=True) as stream:
        next(iter(stream))
    event = gateway.recorded(name)
    assert event["error_code"] == "client_gone"
    assert event["input_tokens"] > 0
    assert len([one for one in gateway.events() if one["route"] == name]) == 1


def test_the_client_retries_by_itself_what_it_is_told_to(gateway: Gateway) -> None:
    name = route(gateway)
    gateway.first.next.extend([provider.refusing(503, "Not now", "server_error")] * 2)
    answer = gateway.openai.with_options(max_retries=3).chat.completions.create(model=name, messages=ASK)
    assert answer.choices[0].message.content == HELLO.text
    assert len(gateway.first.received) == 3


def test_the_gateway_retries_the_only_target(gateway: Gateway) -> None:
    name = route(gateway, attempts=3)
    gateway.first.next.extend([FAULTS["a server error"][0], FAULTS["a reset"][0]])
    assert ask(gateway, name).choices[0].message.content == HELLO.text
    classes = [one["error_class"] for one in gateway.recorded(name)["attempts"]]
    assert classes == ["server_error", "broken", ""]


def test_a_breaker_opens_spares_the_upstream_and_closes(gateway: Gateway) -> None:
    gateway.first.answer, name = FAULTS["a server error"][0], route(gateway, with_second=True)
    for _ in range(8):
        ask(gateway, name)
    assert len(gateway.first.received) == 5, "an open breaker lets nothing through while others answer"
    assert len(gateway.second.received) == 8
    gateway.first.answer = provider.saying()
    wait_until(lambda: ask(gateway, name) and len(gateway.first.received) > 5, "a probe")
    for _ in range(3):
        ask(gateway, name)
    assert len(gateway.first.received) == 9, "one probe, and everything after it"
