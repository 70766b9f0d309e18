"""Bodies that are too large are refused before anybody reads them."""

from __future__ import annotations

import errno
import json
from typing import Any

from apps.core.body_limit import BodyLimit

LIMIT = 1000


class Exchange:
    """One request against an application that reads its whole body, and what was answered."""

    def __init__(self, chunks: list[bytes], declared: int | None = None) -> None:
        self.chunks = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
        self.chunks.append({"type": "http.request", "body": b"", "more_body": False})
        self.taken = 0
        self.sent: list[dict[str, Any]] = []
        headers = [(b"x-request-id", b"req_0123456789")]
        if declared is not None:
            headers.append((b"content-length", str(declared).encode()))
        self.scope = {"type": "http", "path": "/upload", "headers": headers}

    async def receive(self) -> dict[str, Any]:
        self.taken += 1
        return self.chunks[self.taken - 1]

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return self.sent[0]["status"]


async def reads_everything(scope: Any, receive: Any, send: Any) -> None:
    while (await receive())["more_body"]:
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


async def answer(exchange: Exchange, application: Any = reads_everything) -> Exchange:
    await BodyLimit(application, lambda _: LIMIT)(exchange.scope, exchange.receive, exchange.send)
    return exchange


async def test_a_body_that_fits_passes() -> None:
    assert (await answer(Exchange([b"x" * 500, b"x" * 500], declared=LIMIT))).status == 200


async def test_a_declared_length_above_the_limit_is_refused_unread() -> None:
    exchange = await answer(Exchange([b"x"], declared=2_000_000_000))
    assert (exchange.status, exchange.taken) == (413, 0)
    body = json.loads(exchange.sent[1]["body"])
    assert (body["code"], body["request_id"]) == ("body_too_large", "req_0123456789")
    assert (b"connection", b"close") in exchange.sent[0]["headers"]


async def test_a_body_of_unknown_length_is_cut_off_at_the_limit() -> None:
    exchange = await answer(Exchange([b"x" * 400] * 10))
    assert (exchange.status, exchange.taken) == (413, 3)


async def test_a_full_disk_while_the_body_is_kept_is_503_with_retry_after() -> None:
    async def full(scope: Any, receive: Any, send: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    exchange = await answer(Exchange([b"x"]), full)
    assert exchange.status == 503
    assert b"retry-after" in dict(exchange.sent[0]["headers"])


async def test_a_socket_is_not_limited() -> None:
    seen: list[str] = []

    async def noted(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    await BodyLimit(noted, lambda _: 0)({"type": "websocket"}, None, None)  # type: ignore[arg-type]
    assert seen == ["websocket"]
