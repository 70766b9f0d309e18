"""The unmodified `openai` client with nothing changed but its base URL and key, before upstreams of every dialect."""

from __future__ import annotations

import asyncio
import json

import openai
import pytest
from pydantic import BaseModel

from tests.gateway.conformance.conftest import SECRET, Gateway
from tests.stand_ins import provider
from tests.stand_ins.provider_answers import HELLO, Saying

KINDS = ["compatible", "openai", "azure", "anthropic", "gemini"]
SPEAKING = pytest.mark.parametrize("kind", KINDS)
ASK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say good morning"}]
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABAQAAAAA3bvkkAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
IMAGE = f"data:image/png;base64,{DOT}"
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a town",
        "parameters": {"type": "object", "properties": {"town": {"type": "string"}}, "required": ["town"]},
    },
}
CREDENTIALS = ("authorization", "api-key", "x-api-key", "x-goog-api-key")


class Town(BaseModel):
    town: str
    people: int


@SPEAKING
def test_chat(gateway: Gateway, kind: str) -> None:
    answer = gateway.openai.chat.completions.create(model=kind, messages=ASK, max_tokens=50)
    assert answer.choices[0].message.content == HELLO.text
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.prompt_tokens == HELLO.input + HELLO.cached
    assert answer.usage.completion_tokens == HELLO.output


@SPEAKING
def test_chat_streamed(gateway: Gateway, kind: str) -> None:
    asked = {"model": kind, "messages": ASK, "stream": True, "stream_options": {"include_usage": True}}
    chunks = list(gateway.openai.chat.completions.create(**asked))
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert said == HELLO.text
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage.completion_tokens == HELLO.output


@SPEAKING
def test_what_was_streamed_is_counted_as_the_provider_told(gateway: Gateway, kind: str) -> None:
    list(gateway.openai.chat.completions.create(model=kind, messages=ASK, stream=True))
    event = gateway.recorded(kind)
    told = [event[f"{name}_tokens"] for name in ("input", "cached", "cache_write", "output")]
    assert told == [HELLO.input, HELLO.cached, 0, HELLO.output]
    assert not event["is_estimated"]
    assert event["cost_micro_usd"] > 0
    assert event["first_token_us"] > 0
    assert event["status"] == 200


@SPEAKING
def test_credentials_stay_on_their_own_side(gateway: Gateway, kind: str) -> None:
    raw = gateway.openai.chat.completions.with_raw_response.create(model=kind, messages=ASK)
    sent = gateway.first.received[-1]
    credentials = [sent.headers[name] for name in CREDENTIALS if name in sent.headers]
    assert [one.removeprefix("Bearer ") for one in credentials] == [SECRET]
    caller = gateway.key
    assert caller not in str(sent.headers)
    assert caller.encode() not in sent.body
    assert caller not in sent.path
    assert SECRET not in str(raw.headers) + raw.text


@SPEAKING
def test_a_tool_is_called_and_answered(gateway: Gateway, kind: str) -> None:
    gateway.first.next.append(provider.saying(Saying(tool=("weather", {"town": "Ulm"}))))
    client = gateway.openai
    asked = [{"role": "user", "content": "What is the weather in Ulm?"}]
    answer = client.chat.completions.create(model=kind, messages=asked, tools=[WEATHER])
    call = answer.choices[0].message.tool_calls[0]
    assert answer.choices[0].finish_reason == "tool_calls"
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"town": "Ulm"})
    told = {"role": "tool", "tool_call_id": call.id, "content": '{"sky": "clear"}'}
    thread = [*asked, answer.choices[0].message.model_dump(exclude_none=True), told]
    assert client.chat.completions.create(model=kind, messages=thread, tools=[WEATHER]).choices
    assert "clear" in gateway.first.received[-1].body.decode()


@SPEAKING
def test_a_tool_is_called_in_a_stream(gateway: Gateway, kind: str) -> None:
    gateway.first.next.append(provider.saying(Saying(tool=("weather", {"town": "Ulm"}))))
    with gateway.openai.chat.completions.stream(model=kind, messages=ASK, tools=[WEATHER]) as stream:
        completion = stream.get_final_completion()
    call = completion.choices[0].message.tool_calls[0]
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"town": "Ulm"})


@pytest.mark.parametrize("kind", ["compatible", "openai", "azure", "gemini"])
def test_an_answer_in_a_schema(gateway: Gateway, kind: str) -> None:
    gateway.first.next.append(provider.saying(Saying(words=('{"town": "Ulm",', ' "people": 126000}'))))
    answer = gateway.openai.chat.completions.parse(model=kind, messages=ASK, response_format=Town)
    assert answer.choices[0].message.parsed == Town(town="Ulm", people=126000)
    assert "people" in gateway.first.received[-1].body.decode()


@SPEAKING
def test_an_image_reaches_the_provider(gateway: Gateway, kind: str) -> None:
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": IMAGE}}]
    gateway.openai.chat.completions.create(model=kind, messages=[{"role": "user", "content": parts}])
    assert DOT in gateway.first.received[-1].body.decode()


@pytest.mark.parametrize("kind", ["compatible", "openai", "azure"])
def test_embeddings_and_completions(gateway: Gateway, kind: str) -> None:
    client = gateway.openai
    found = client.embeddings.create(model=kind, input=["a", "b"])
    assert [one.embedding for one in found.data] == [[0.25, -0.5, 0.125]] * 2
    assert client.completions.create(model=kind, prompt="Good").choices[0].text == HELLO.text
    streamed = client.completions.create(model=kind, prompt="Good", stream=True)
    assert "".join(chunk.choices[0].text for chunk in streamed if chunk.choices) == HELLO.text


@SPEAKING
def test_responses(gateway: Gateway, kind: str) -> None:
    answer = gateway.openai.responses.create(model=kind, input="Say good morning", instructions="Be brief.")
    assert answer.output_text == HELLO.text
    assert answer.usage.output_tokens == HELLO.output


@SPEAKING
def test_responses_streamed(gateway: Gateway, kind: str) -> None:
    with gateway.openai.responses.stream(model=kind, input="Say good morning") as stream:
        said = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        assert stream.get_final_response().output_text == said == HELLO.text


def test_models_are_the_routes(gateway: Gateway) -> None:
    names = {model.id for model in gateway.openai.models.list()}
    assert set(KINDS) <= names
    assert gateway.openai.models.retrieve("gemini").id == "gemini"
    with pytest.raises(openai.NotFoundError):
        gateway.openai.models.retrieve("nowhere")


def test_a_model_that_is_none_and_a_key_that_is_none(gateway: Gateway) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        gateway.openai.chat.completions.create(model="nowhere", messages=ASK)
    assert unknown.value.code == "model_not_found"
    stranger = gateway.openai.with_options(api_key="sk-of-nobody")
    with pytest.raises(openai.AuthenticationError):
        stranger.chat.completions.create(model="openai", messages=ASK)
    assert not gateway.first.received


def test_what_is_no_request_is_told_as_the_client_reads_it(gateway: Gateway) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        gateway.openai.post("/chat/completions", body=["no object"], cast_to=object)
    assert refused.value.code == "malformed_json"


def test_the_async_client(gateway: Gateway) -> None:
    async def ask() -> list[str]:
        async with openai.AsyncOpenAI(api_key=gateway.key, base_url=f"{gateway.url}/v1", max_retries=0) as client:
            stream = await client.chat.completions.create(model="openai", messages=ASK, stream=True)
            return [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]

    assert "".join(asyncio.run(ask())) == HELLO.text
