"""The WebSocket that a page of somebody's browser opens, for tests."""

from __future__ import annotations

import json
from typing import Any

from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.test import Client

from apps.accounts.models import User
from config.asgi import control_plane

OWN_PAGE = [(b"origin", b"http://localhost"), (b"host", b"localhost")]


class Socket:
    """Of the page in an organization that `visitor` looks at: a browser, a person in a new one, or a stranger."""

    def __init__(self, slug: str, visitor: Client | User | None = None) -> None:
        self.slug, self.visitor = slug, visitor

    async def connect(self) -> bool:
        scope = {
            "type": "websocket",
            "path": f"/ws/o/{self.slug}/live/",
            "headers": [*OWN_PAGE, (b"cookie", await self._cookie())],
            "query_string": b"",
            "subprotocols": [],
        }
        self.application = ApplicationCommunicator(control_plane, scope)
        await self.application.send_input({"type": "websocket.connect"})
        return (await self.application.receive_output(timeout=5))["type"] == "websocket.accept"

    async def _cookie(self) -> bytes:
        browser = self.visitor if isinstance(self.visitor, Client) else Client()
        if isinstance(self.visitor, User):
            await sync_to_async(browser.force_login)(self.visitor)
        name = settings.SESSION_COOKIE_NAME
        return f"{name}={browser.cookies[name].value}".encode() if name in browser.cookies else b""

    async def closed_with(self) -> int:
        """The code that the application closes it with."""
        message = await self.application.receive_output(timeout=5)
        assert message["type"] == "websocket.close", message
        return int(message["code"])

    async def send(self, content: Any) -> None:
        await self.application.send_input({"type": "websocket.receive", "text": json.dumps(content)})

    async def receive(self) -> Any:
        return json.loads((await self.application.receive_output(timeout=5))["text"])

    async def hears_nothing(self) -> bool:
        return await self.application.receive_nothing(timeout=0.5)

    async def close(self) -> None:
        await self.application.send_input({"type": "websocket.disconnect", "code": 1000})
        await self.application.wait(timeout=5)
