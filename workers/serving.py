"""How the ASGI processes without Django are served: one event loop on one listening socket."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from config.logging import configure as configure_logging

HOST = "127.0.0.1"
BACKLOG = 2048
KEEP_ALIVE_S = 75  # longer than callers keep an idle connection, so that they end it and not we


def add_socket_arguments(parser: argparse.ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--fd", type=int, help="serve on this inherited listening socket")
    where.add_argument("--port", type=int, help="listen here on loopback; 0 takes a free port")
    parser.add_argument("--ready-file", type=Path, help='write {"pid", "port"} here as soon as calls are answered')


def listening_socket(arguments: argparse.Namespace) -> socket.socket:
    if arguments.fd is not None:
        return socket.socket(fileno=arguments.fd)
    return socket.create_server((HOST, arguments.port), backlog=BACKLOG)


class Corked:
    """A transport that sends an answer's head together with what follows it in the same turn of the event loop.

    uvicorn writes them apart: two system calls for us, and the reader is woken twice.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""
        self.is_closing = transport.is_closing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if data.startswith(b"HTTP/1.1 ") and not self._head:
            self._head = data
            asyncio.get_running_loop().call_soon(self._flush)
        elif not self.is_closing():
            self._transport.write(self._head + data)
            self._head = b""

    def write_whole(self, answer: bytes) -> None:
        """Send an answer that nothing follows."""
        if not self.is_closing():
            self._transport.write(answer)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._head:
            self.write(b"")


class Protocol(HttpToolsProtocol):
    """One connection of a caller. An application with a `refuse_unread` is asked before a request is even parsed."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._refuse: Callable[[bytes], bytes | None] | None = getattr(self.config.app, "refuse_unread", None)
        self._is_reading = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast(asyncio.Transport, Corked(transport)))

    def data_received(self, data: bytes) -> None:
        is_between = not self._is_reading and (self.cycle is None or self.cycle.response_complete)
        if is_between and self._refuse is not None and (refusal := self._refuse(data)):
            cast(Corked, self.transport).write_whole(refusal)
        else:
            super().data_received(data)

    def on_message_begin(self) -> None:
        self._is_reading = True
        super().on_message_begin()

    def on_message_complete(self) -> None:
        self._is_reading = False
        super().on_message_complete()


class Server(uvicorn.Server):
    """A uvicorn server that says when it answers."""

    def __init__(self, config: uvicorn.Config, ready_file: Path | None) -> None:
        super().__init__(config)
        self._ready_file = ready_file

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What start-up made lives as long as the process: later collections need not walk it. Calls leave no circles,
        # so that few collections suffice.
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 10, 100)
        if self._ready_file and self.started and sockets:
            _write_whole(self._ready_file, {"pid": os.getpid(), "port": sockets[0].getsockname()[1]})


def serve(application: Any, arguments: argparse.Namespace) -> None:
    """Serve until SIGTERM or SIGINT; calls in flight are answered first."""
    configure_logging()
    config = uvicorn.Config(
        application,
        http=Protocol,
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,  # core.addresses reads them, the same way for both planes
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=5,
    )
    Server(config, arguments.ready_file).run(sockets=[listening_socket(arguments)])


def _write_whole(path: Path, content: dict[str, int]) -> None:
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(content))
    draft.replace(path)
