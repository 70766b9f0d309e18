"""The model server as an ASGI application: OpenAI's paths for chats, completions, embeddings and models; /healthz."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

from workers.llm.engine import CONTEXT_TOKENS, MODEL, Engine
from workers.llm.line import EMBEDDING_MODEL, EmbeddingLine, Line, LineFull
from workers.llm.protocol import (
    ApiError,
    ChatRequest,
    Chunk,
    CompletionRequest,
    EmbeddingsRequest,
    completion,
    public,
    text_completion,
)

MAX_BODY_BYTES = 1024 * 1024

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]

Generation = ChatRequest | CompletionRequest

MODELS = (MODEL, EMBEDDING_MODEL)
JSON: Header = (b"content-type", b"application/json")
EVENT_STREAM: Header = (b"content-type", b"text/event-stream")


class ModelServer:
    """Serves the model of texts from the server's lifespan start to its end, that of embeddings once it is asked."""

    def __init__(self, weights: Path) -> None:
        self._weights = weights
        self._embeddings = EmbeddingLine()
        self._line: Line | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        try:
            await self._route(scope, receive, send)
        except ApiError as error:
            await send_json(send, error.status, error.body)
        except LineFull as full:
            retry_after = (b"retry-after", str(full.retry_after_s).encode())
            await send_json(send, 503, ApiError(503, str(full), code="model_busy").body, retry_after)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._line = Line(await asyncio.to_thread(Engine, self._weights))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._line.close()
        self._embeddings.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["method"], scope["path"]:
            case "GET", "/healthz":
                await send_json(send, 200, {"status": "ok"})
            case "GET", "/v1/models":
                await send_json(send, 200, {"object": "list", "data": [self._model(name) for name in MODELS]})
            case "GET", path if path.removeprefix("/v1/models/") in MODELS:
                await send_json(send, 200, self._model(path.removeprefix("/v1/models/")))
            case "POST", "/v1/chat/completions":
                await self._generate(ChatRequest.parse(await read_body(receive)), receive, send)
            case "POST", "/v1/completions":
                await self._generate(CompletionRequest.parse(await read_body(receive)), receive, send)
            case "POST", "/v1/embeddings":
                await self._embed(EmbeddingsRequest.parse(await read_body(receive)), send)
            case method, path:
                raise ApiError(404, f"Unknown request: {method} {path}", code="unknown_url")

    def _model(self, name: str) -> dict[str, Any]:
        created = int(self._weights.stat().st_mtime)
        return {"id": name, "object": "model", "created": created, "owned_by": "local"}

    async def _embed(self, request: EmbeddingsRequest, send: Send) -> None:
        require(request.model, EMBEDDING_MODEL)
        embedded = await self._embeddings.embed(request.texts)
        await send_json(send, 200, request.answer(embedded.vectors, embedded.token_count))

    async def _generate(self, request: Generation, receive: Receive, send: Send) -> None:
        """Answer, unless the caller goes away first: then the model stops."""
        require(request.model, MODEL)
        answer = self._stream if request.stream else self._complete
        work = asyncio.create_task(answer(request, send))
        gone = asyncio.create_task(until_gone(receive))
        try:
            await asyncio.wait([work, gone], return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            if not work.done():
                work.cancel()
        await asyncio.gather(work, return_exceptions=gone.done() and not gone.cancelled())

    async def _complete(self, request: Generation, send: Send) -> None:
        async with aclosing(self._chunks(request)) as chunks:
            whole = [chunk async for chunk in chunks]
        await send_json(send, 200, completion(whole) if isinstance(request, ChatRequest) else text_completion(whole))

    async def _stream(self, request: Generation, send: Send) -> None:
        """Server-sent events. Nothing is sent before the first chunk, so that a refusal still has its own status."""
        async with aclosing(self._chunks(request)) as chunks:
            first = await anext(chunks)
            await send({"type": "http.response.start", "status": 200, "headers": [EVENT_STREAM]})
            await send_event(send, first)
            async for chunk in chunks:
                if not request.wants_usage_chunk:
                    chunk.pop("usage", None)
                if chunk["choices"] or request.wants_usage_chunk:
                    await send_event(send, chunk)
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})

    def _chunks(self, request: Generation) -> Any:
        if self._line is None:
            raise ApiError(503, "The model is not loaded yet.")
        return self._line.chunks(request.for_engine(longest=CONTEXT_TOKENS))


def require(asked: str, name: str) -> None:
    if asked != name:
        raise ApiError(404, f"The model {asked!r} does not exist here. There is {name!r}.", "model_not_found")


async def until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def read_body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAX_BODY_BYTES:
            raise ApiError(413, f"The request is larger than {MAX_BODY_BYTES} bytes.", code="request_too_large")
    return body


async def send_json(send: Send, status: int, content: Any, *headers: Header) -> None:
    body = json.dumps(content).encode()
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [JSON, length, *headers]})
    await send({"type": "http.response.body", "body": body})


async def send_event(send: Send, chunk: Chunk) -> None:
    event = f"data: {json.dumps(public(chunk))}\n\n".encode()
    await send({"type": "http.response.body", "body": event, "more_body": True})
