"""What a call leaves in memory once it is answered: nothing that only the collector would find."""

from __future__ import annotations

import gc
from functools import partial
from typing import Any

import pytest

from apps.core.edge import Answer, Call, Proceed, Sent
from apps.core.errors import NotFound
from workers.asgi import Application

SCOPE = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": [], "client": None}


async def whole(call: Call) -> Answer:
    await call.read()
    return Answer(200, [], b"whole")


async def streamed(call: Call) -> Answer:
    await call.reply.begin(200, [])
    await call.reply.send(b"piece")
    return Sent(200, [], b"")


async def refused(call: Call) -> Answer:
    raise NotFound()


class Served(Application):
    def __init__(self, serve: Proceed) -> None:
        self._serve = serve

    def settle(self, call: Call, status: int) -> None:
        call.events.append(("events", partial(str, call)))  # type: ignore[arg-type]


@pytest.mark.parametrize("serve", [whole, streamed, refused])
async def test_a_call_is_gone_when_it_is_answered(serve: Proceed) -> None:
    application = Served(serve)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: dict[str, Any]) -> None:
        pass

    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for _ in range(5):
            await application(dict(SCOPE), receive, send)
        gc.collect()
        assert not [one for one in gc.garbage if isinstance(one, Call)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
