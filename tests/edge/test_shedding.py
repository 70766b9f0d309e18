from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from workers.edge.shedding import CROWD, DECAY, LATE_S, MOST, Shedding, changed, is_whole
from workers.serving import Protocol

BODY = b'{"model": "m"}'
CALL = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 14\r\n\r\n" + BODY


@pytest.fixture
def overloaded() -> Shedding:
    made = Shedding()
    made.share = 1.0
    return made


def test_an_idle_process_refuses_nobody() -> None:
    assert changed(0.0, 0.0, 1000) == 0.0
    assert not any(Shedding().answer(CALL) for _ in range(100))


def test_the_share_grows_while_looks_come_late_and_shrinks_when_they_come_in_time() -> None:
    share = 0.0
    for _ in range(1000):
        before, share = share, changed(share, LATE_S * 2, CROWD)
        assert share > before or share == MOST
    assert share == MOST
    assert changed(share, 0.0, CROWD) == MOST - DECAY


def test_a_process_that_others_keep_from_its_work_refuses_nobody() -> None:
    assert changed(0.0, 1.0, CROWD - 1) == 0.0


def test_a_very_late_look_does_not_refuse_everybody_at_once() -> None:
    assert changed(0.0, 60.0, CROWD) < 0.2


async def test_a_loop_that_is_kept_busy_begins_to_refuse_and_ends_when_it_is_free() -> None:
    shedding = Shedding()
    shedding.start()
    try:
        for _ in range(30):
            for _ in range(CROWD):
                shedding.answer(b"")
            time.sleep(0.1)
            await asyncio.sleep(0)
        assert shedding.share > 0
        while shedding.share:
            await asyncio.sleep(0.01)
        assert shedding.answer(CALL) is None
    finally:
        shedding.close()


@pytest.mark.parametrize(
    ("path", "told"),
    [
        (b"/v1/chat/completions", lambda body: body["error"]["code"]),
        (b"/v1/messages", lambda body: body["error"]["type"].removesuffix("_error")),
        (b"/v2/models/churn/infer", lambda body: body["code"]),
    ],
)
def test_a_refused_call_is_told_in_its_callers_words_when_to_try_again(
    overloaded: Shedding, path: bytes, told: object
) -> None:
    written = overloaded.answer(CALL.replace(b"/v1/chat/completions", path))
    assert written is not None
    head, _, body = written.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"retry-after: 1" in head
    assert b"content-length: %d" % len(body) in head
    assert told(json.loads(body)) == "overloaded"  # type: ignore[operator]


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\n\r\n",
        CALL[:-1],
        CALL + CALL,
        CALL.replace(b"Content-Length: 14\r\n", b"Transfer-Encoding: chunked\r\n"),
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n",
    ],
)
def test_probes_and_what_did_not_come_in_one_piece_pass(overloaded: Shedding, request_bytes: bytes) -> None:
    assert overloaded.answer(request_bytes) is None


def test_a_length_is_read_in_the_head_alone() -> None:
    assert is_whole(CALL)
    assert not is_whole(b"POST /v1/x HTTP/1.1\r\nHost: a\r\n\r\n\r\ncontent-length: 3\r\n\r\nabc")


class Echo:
    """Answers every second request unread, and the others with their bodies."""

    def __init__(self) -> None:
        self._count = 0

    def refuse_unread(self, request: bytes) -> bytes | None:
        self._count += 1
        return b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\nno" if self._count % 2 else None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})


async def test_a_connection_goes_on_after_a_refusal() -> None:
    config = uvicorn.Config(Echo(), lifespan="off", log_config=None)
    config.load()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Protocol(config, ServerState(), {}), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    seen = []
    for number in range(6):
        body = b"%014d" % number
        writer.write(CALL.replace(BODY, body))
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r")[0])
        seen.append((head[9:12], await reader.readexactly(length) in {b"no", body}))
    assert seen == [(b"503", True), (b"200", True)] * 3
    writer.close()
    server.close()
