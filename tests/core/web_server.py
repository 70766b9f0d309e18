"""A server of the product for tests in a browser: HTTP and WebSocket, on one port that outlives its stops."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any, cast

import uvicorn
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler

from config.asgi import application


class Served(ASGIStaticFilesHandler):
    """The product, with the static files of the source tree."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and self._should_handle(scope["path"]):
            await super().__call__(scope, receive, send)
        else:
            await self.application(scope, receive, send)


class WebServer:
    """Stopping it closes the sockets of its pages; it comes back where it was."""

    def __init__(self) -> None:
        self._port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://localhost:{self._port}"

    def start(self) -> None:
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", self._port))
        listening.listen()
        self._port = listening.getsockname()[1]
        config = uvicorn.Config(Served(cast("Any", application)), lifespan="off", log_level="warning")
        self._server = uvicorn.Server(config)
        serve = self._server.serve
        self._thread = threading.Thread(target=lambda: asyncio.run(serve([listening])), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(timeout=30)
        assert not self._thread.is_alive()
