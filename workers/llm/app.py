"""The model server as an ASGI application: /v1/models, /v1/chat/completions, /healthz."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

from workers.llm.engine import CONTEXT_TOKENS, MODEL, Engine
from workers.llm.line import Line, LineFull
from workers.llm.protocol import ApiError, ChatRequest, Chunk, completion, public

MAX_BODY_BYTES = 1024 * 1024

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]

JSON: Header = (b"content-type", b"application/json")
EVENT_STREAM: Header = (b"content-type", b"text/event-stream")


class ModelServer:
    """Serves one model from the server's lifespan start to its end."""

    def __init__(self, weights: Path) -> None:
        self._weights = weights
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
        await send({"type": "lifespan.shutdown.complete"})

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["method"], scope["path"]:
            case "GET", "/healthz":
                await send_json(send, 200, {"status": "ok"})
            case "GET", "/v1/models":
                await send_json(send, 200, {"object": "list", "data": [self._model()]})
            case "GET", path if path == f"/v1/models/{MODEL}":
                await send_json(send, 200, self._model())
            case "POST", "/v1/chat/completions":
                await self._chat(ChatRequest.parse(await read_body(receive)), receive, send)
            case method, path:
                raise ApiError(404, f"Unknown request: {method} {path}", code="unknown_url")

    def _model(self) -> dict[str, Any]:
        created = int(self._weights.stat().st_mtime)
        return {"id": MODEL, "object": "model", "created": created, "owned_by": "local"}

    async def _chat(self, request: ChatRequest, receive: Receive, send: Send) -> None:
        """Answer, unless the caller goes away first: then the model stops."""
        if request.model != MODEL:
            raise ApiError(404, f"The model {request.model!r} does not exist. There is {MODEL!r}.", "model_not_found")
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

    async def _complete(self, request: ChatRequest, send: Send) -> None:
        async with aclosing(self._chunks(request)) as chunks:
            answer = completion([chunk async for chunk in chunks])
        await send_json(send, 200, answer)

    async def _stream(self, request: ChatRequest, send: Send) -> None:
        """Server-sent events. Nothing is sent before the first chunk, so that a refusal still has its own status."""
        async with aclosing(self._chunks(request)) as chunks:
            first = await anext(chunks)
            await send({"type": "http.response.start", "status": 200, "headers": [EVENT_STREAM]})
            await send_event(send, first)
            async for chunk in chunks:
                if chunk["choices"] or request.wants_usage_chunk:
                    await send_event(send, chunk)
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})

    def _chunks(self, request: ChatRequest) -> Any:
        if self._line is None:
            raise ApiError(503, "The model is not loaded yet.")
        return self._line.chunks(request.for_engine(longest=CONTEXT_TOKENS))


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
