"""The stand-in speaks as providers do: their own clients read it without the gateway."""

from __future__ import annotations

from collections.abc import Iterator

import anthropic
import openai
import pytest

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


def openai_client(stand_in: Provider) -> openai.OpenAI:
    return openai.OpenAI(api_key="sk-stand-in", base_url=f"{stand_in.url}/v1", max_retries=0, timeout=5)


def anthropic_client(stand_in: Provider) -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key="sk-ant-stand-in", base_url=stand_in.url, max_retries=0, timeout=5)


def test_chat_whole_and_streamed(stand_in: Provider) -> None:
    client = openai_client(stand_in)
    whole = client.chat.completions.create(model="m", messages=ASK)
    chunks = list(client.chat.completions.create(model="m", messages=ASK, stream=True))
    assert whole.choices[0].message.content == HELLO.text
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == HELLO.text
    assert whole.usage.prompt_tokens_details.cached_tokens == HELLO.cached
    assert stand_in.received[0].headers["authorization"] == "Bearer sk-stand-in"


def test_responses_embeddings_and_completions(stand_in: Provider) -> None:
    client = openai_client(stand_in)
    assert client.responses.create(model="m", input="hi").output_text == HELLO.text
    with client.responses.stream(model="m", input="hi") as stream:
        assert stream.get_final_response().output_text == HELLO.text
    assert client.embeddings.create(model="m", input=["a", "b"]).data[1].embedding == [0.25, -0.5, 0.125]
    assert client.completions.create(model="m", prompt="hi").choices[0].text == HELLO.text


def test_messages_whole_and_streamed(stand_in: Provider) -> None:
    client = anthropic_client(stand_in)
    whole = client.messages.create(model="m", max_tokens=9, messages=ASK)
    with client.messages.stream(model="m", max_tokens=9, messages=ASK) as stream:
        streamed = stream.get_final_message()
    assert whole.content[0].text == streamed.content[0].text == HELLO.text
    assert streamed.usage.output_tokens == HELLO.output
    assert client.messages.count_tokens(model="m", messages=ASK).input_tokens == HELLO.input + HELLO.cached


def test_it_misbehaves(stand_in: Provider) -> None:
    client = openai_client(stand_in)
    stand_in.next.append(provider.rate_limited("7"))
    with pytest.raises(openai.RateLimitError) as refused:
        client.chat.completions.create(model="m", messages=ASK)
    assert refused.value.response.headers["retry-after"] == "7"
    for behaviour in (provider.closing, provider.reset_after(10), provider.wrong_length(5)):
        stand_in.next.append(behaviour)
        with pytest.raises(openai.APIConnectionError):
            client.chat.completions.create(model="m", messages=ASK)
    for behaviour in (provider.old(), provider.gzipped(), provider.dripping(0.0), provider.late(0.1)):
        stand_in.next.append(behaviour)
        assert client.chat.completions.create(model="m", messages=ASK).choices[0].message.content == HELLO.text
