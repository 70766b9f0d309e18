"""The unmodified `anthropic` client, before upstreams of every dialect."""

from __future__ import annotations

import asyncio

import anthropic
import pytest

from tests.gateway.conformance.conftest import SECRET, Gateway
from tests.stand_ins import provider
from tests.stand_ins.provider_answers import HELLO, Saying

SPEAKING = pytest.mark.parametrize("kind", ["anthropic", "openai", "compatible", "azure", "gemini"])
ASK = [{"role": "user", "content": "Say good morning"}]
ASKED = {"max_tokens": 50, "messages": ASK, "system": "Be brief."}
SCHEMA = {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]}
WEATHER = {"name": "weather", "description": "The weather of a town", "input_schema": SCHEMA}


@SPEAKING
def test_a_message(gateway: Gateway, kind: str) -> None:
    answer = gateway.anthropic.messages.create(model=kind, **ASKED)
    assert "".join(block.text for block in answer.content) == HELLO.text
    assert answer.stop_reason == "end_turn"
    assert answer.usage.input_tokens == HELLO.input
    assert answer.usage.cache_read_input_tokens == HELLO.cached
    assert answer.usage.output_tokens == HELLO.output


@SPEAKING
def test_tokens_are_counted_before(gateway: Gateway, kind: str) -> None:
    told = gateway.anthropic.messages.count_tokens(model=kind, messages=ASK, system="Be brief.")
    sent = [one.path for one in gateway.first.received]
    if kind == "anthropic":
        counted = HELLO.input + HELLO.cached
        assert (told.input_tokens, sent) == (counted, ["/v1/messages/count_tokens"])
    else:
        assert 5 <= told.input_tokens <= 50
        assert sent == []


def test_tokens_are_estimated_while_the_provider_does_not_count(gateway: Gateway) -> None:
    gateway.first.next.append(provider.refusing(529, "Overloaded", "overloaded_error"))
    assert 5 <= gateway.anthropic.messages.count_tokens(model="anthropic", messages=ASK).input_tokens <= 50


@SPEAKING
def test_a_message_streamed(gateway: Gateway, kind: str) -> None:
    with gateway.anthropic.messages.stream(model=kind, **ASKED) as stream:
        said = "".join(stream.text_stream)
        message = stream.get_final_message()
    assert said == HELLO.text
    assert message.stop_reason == "end_turn"
    assert message.usage.output_tokens == HELLO.output


@SPEAKING
def test_a_tool_is_used_and_its_result_is_told(gateway: Gateway, kind: str) -> None:
    gateway.first.next.append(provider.saying(Saying(tool=("weather", {"town": "Ulm"}))))
    client = gateway.anthropic
    answer = client.messages.create(model=kind, tools=[WEATHER], **ASKED)
    used = next(block for block in answer.content if block.type == "tool_use")
    assert (answer.stop_reason, used.name, used.input) == ("tool_use", "weather", {"town": "Ulm"})
    told = {"type": "tool_result", "tool_use_id": used.id, "content": "clear sky"}
    thread = [*ASK, {"role": "assistant", "content": answer.content}, {"role": "user", "content": [told]}]
    assert client.messages.create(model=kind, tools=[WEATHER], max_tokens=50, messages=thread).content
    assert "clear sky" in gateway.first.received[-1].body.decode()


@SPEAKING
def test_a_tool_is_used_in_a_stream(gateway: Gateway, kind: str) -> None:
    gateway.first.next.append(provider.saying(Saying(tool=("weather", {"town": "Ulm"}))))
    with gateway.anthropic.messages.stream(model=kind, tools=[WEATHER], **ASKED) as stream:
        message = stream.get_final_message()
    assert [block.input for block in message.content if block.type == "tool_use"] == [{"town": "Ulm"}]


def test_the_callers_key_stays_here_and_the_providers_there(gateway: Gateway) -> None:
    raw = gateway.anthropic.messages.with_raw_response.create(model="anthropic", **ASKED)
    sent = gateway.first.received[-1]
    assert sent.headers["x-api-key"] == SECRET
    assert gateway.key not in str(sent)
    assert SECRET not in str(raw.headers) + raw.text()


def test_refusals_are_the_clients_exceptions(gateway: Gateway) -> None:
    with pytest.raises(anthropic.NotFoundError):
        gateway.anthropic.messages.create(model="nowhere", **ASKED)
    with pytest.raises(anthropic.AuthenticationError):
        gateway.anthropic.with_options(api_key="sk-ant-nobody").messages.create(model="anthropic", **ASKED)
    gateway.first.next.append(provider.rate_limited("3"))
    with pytest.raises(anthropic.RateLimitError) as limited:
        gateway.anthropic.messages.create(model="openai", **ASKED)
    assert limited.value.response.headers["retry-after"] == "3"


def test_the_async_client(gateway: Gateway) -> None:
    async def ask() -> str:
        client = anthropic.AsyncAnthropic(api_key=gateway.key, base_url=gateway.url, max_retries=0)
        async with client, client.messages.stream(model="openai", **ASKED) as stream:
            return "".join([text async for text in stream.text_stream])

    assert asyncio.run(ask()) == HELLO.text
