"""The local model server, asked over a socket with the real model loaded."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from openai import AsyncOpenAI

from workers.llm.engine import MODEL
from workers.llm.line import EMBEDDING_MODEL

ROOT = Path(__file__).resolve().parents[2]
LONG = "Tell me a very long story about a lighthouse."


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    ready = tmp_path_factory.mktemp("llm") / "ready"
    command = [sys.executable, "-m", "workers.llm", "--port", "0", "--ready-file", str(ready)]
    with subprocess.Popen(command, cwd=ROOT) as process:
        asyncio.run(_until_written(ready, process))
        yield f"http://127.0.0.1:{json.loads(ready.read_text())['port']}"
        process.terminate()


async def _until_written(ready: Path, process: subprocess.Popen[bytes]) -> None:
    async with asyncio.timeout(60):
        while not ready.exists():
            assert process.poll() is None, "the model server ended before it was ready"
            await asyncio.sleep(0.02)


@pytest.fixture
async def client(server: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(server) as session:
        yield session


def chat(text: str = "Say hello.", **fields: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], "temperature": 0, **fields}


async def post(client: aiohttp.ClientSession, body: Any) -> tuple[int, dict[str, Any]]:
    async with client.post("/v1/chat/completions", json=body) as answer:
        return answer.status, await answer.json()


async def events(client: aiohttp.ClientSession, body: dict[str, Any]) -> list[str]:
    async with client.post("/v1/chat/completions", json=body) as answer:
        assert answer.content_type == "text/event-stream"
        text = await answer.text()
    return [event.removeprefix("data: ") for event in text.split("\n\n") if event]


async def test_it_lists_its_model(client: aiohttp.ClientSession) -> None:
    async with client.get("/v1/models") as answer:
        listed = await answer.json()
    assert [model["id"] for model in listed["data"]] == [MODEL, EMBEDDING_MODEL]


async def test_a_completion_counts_its_tokens_and_says_why_it_ended(client: aiohttp.ClientSession) -> None:
    status, answer = await post(client, chat(LONG, max_tokens=7))
    assert status == 200
    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 7
    assert answer["usage"]["total_tokens"] == answer["usage"]["prompt_tokens"] + 7


async def test_a_stream_carries_the_same_text_as_the_whole_answer(client: aiohttp.ClientSession) -> None:
    _, whole = await post(client, chat(LONG, max_tokens=12))
    *chunks, done = await events(client, chat(LONG, max_tokens=12, stream=True))
    deltas = [json.loads(chunk)["choices"][0]["delta"] for chunk in chunks]
    assert done == "[DONE]"
    assert "".join(delta.get("content") or "" for delta in deltas) == whole["choices"][0]["message"]["content"]


async def test_a_stream_counts_its_tokens_when_asked(client: aiohttp.ClientSession) -> None:
    body = chat(LONG, max_tokens=5, stream=True, stream_options={"include_usage": True})
    chunks = [json.loads(event) for event in (await events(client, body))[:-1]]
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] == 5


async def test_a_schema_constrains_the_answer(client: aiohttp.ClientSession) -> None:
    schema = {
        "type": "object",
        "properties": {"sentiment": {"enum": ["positive", "negative"]}},
        "required": ["sentiment"],
        "additionalProperties": False,
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "review", "schema": schema}}
    _, answer = await post(client, chat("Review: I love it. Sentiment?", response_format=wanted, max_tokens=60))
    assert json.loads(answer["choices"][0]["message"]["content"])["sentiment"] in {"positive", "negative"}


async def test_a_stop_sequence_ends_the_answer_before_it(client: aiohttp.ClientSession) -> None:
    _, whole = await post(client, chat(LONG, max_tokens=30))
    text = whole["choices"][0]["message"]["content"]
    stop = text.split()[4]
    _, cut = await post(client, chat(LONG, max_tokens=30, stop=[stop]))
    assert cut["choices"][0]["finish_reason"] == "stop"
    assert cut["choices"][0]["message"]["content"] == text[: text.index(stop)]


@pytest.mark.parametrize(
    ("change", "status", "param"),
    [
        ({"messages": []}, 400, "messages"),
        ({"temperature": "hot"}, 400, "temperature"),
        ({"temperature": 9}, 400, "temperature"),
        ({"messages": [{"role": "robot", "content": "hi"}]}, 400, "messages.0.role"),
        ({"tools": []}, 400, "tools"),
        ({"n": 2}, 400, "n"),
        ({"model": "gpt-unknown"}, 404, None),
        ({"messages": [{"role": "user", "content": "word " * 5000}]}, 400, None),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "no"}}}},
            400,
            None,
        ),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_bad_request_is_refused_in_the_shape_clients_know(
    client: aiohttp.ClientSession, change: dict[str, Any], status: int, param: str | None, stream: bool
) -> None:
    answered, body = await post(client, {**chat(), **change, "stream": stream})
    assert answered == status
    assert body["error"]["type"] == "invalid_request_error"
    assert body["error"]["message"]
    assert body["error"]["param"] == param


async def test_what_is_not_json_is_refused(client: aiohttp.ClientSession) -> None:
    async with client.post("/v1/chat/completions", data=b"{nonsense") as answer:
        assert answer.status == 400
        assert (await answer.json())["error"]["type"] == "invalid_request_error"


async def test_a_full_line_is_refused_at_once_and_everybody_inside_is_served(client: aiohttp.ClientSession) -> None:
    async def ask() -> tuple[int, str | None]:
        async with client.post("/v1/chat/completions", json=chat(LONG, max_tokens=20)) as answer:
            await answer.read()
            return answer.status, answer.headers.get("Retry-After")

    answers = await asyncio.gather(*(ask() for _ in range(16)))
    served = [status for status, _ in answers if status == 200]
    refused = [retry_after for status, retry_after in answers if status == 503]
    assert len(served) >= 9
    assert len(served) + len(refused) == 16
    assert refused
    assert all(int(retry_after or 0) >= 1 for retry_after in refused)


async def test_a_caller_that_leaves_frees_the_model(client: aiohttp.ClientSession, server: str) -> None:
    for _ in range(30):
        async with client.post("/v1/chat/completions", json=chat(LONG, stream=True)) as answer:
            await answer.content.readany()
            answer.close()
    status, _ = await post(client, chat(max_tokens=3))
    assert status == 200


async def test_the_clients_own_request_for_embeddings_is_answered(server: str) -> None:
    async with AsyncOpenAI(base_url=f"{server}/v1", api_key="none") as client:
        answer = await client.embeddings.create(model=EMBEDDING_MODEL, input=["A red door", "An open window"])
        plain = await client.embeddings.create(model=EMBEDDING_MODEL, input="A red door", encoding_format="float")
    assert [one.index for one in answer.data] == [0, 1]
    assert answer.data[0].embedding == pytest.approx(plain.data[0].embedding, abs=1e-5)
    assert answer.usage.prompt_tokens == 10  # three words each, and what begins and ends a text


async def test_a_prompt_is_completed_whole_and_streamed_alike(server: str) -> None:
    asked: dict[str, Any] = {"model": MODEL, "prompt": "One, two, three,", "max_tokens": 6, "temperature": 0}
    async with AsyncOpenAI(base_url=f"{server}/v1", api_key="none") as client:
        whole = await client.completions.create(**asked)
        chunks = [chunk async for chunk in await client.completions.create(**asked, stream=True)]
    assert whole.usage is not None
    assert (whole.choices[0].finish_reason, whole.usage.completion_tokens) == ("length", 6)
    assert "".join(chunk.choices[0].text for chunk in chunks) == whole.choices[0].text
    assert not any(chunk.usage for chunk in chunks)


async def test_tools_are_refused_by_name(client: aiohttp.ClientSession) -> None:
    status, answer = await post(client, chat(tools=[{"type": "function", "function": {"name": "look_up"}}]))
    assert (status, answer["error"]["param"]) == (400, "tools")
