"""A WebSocket to an ASGI application, for tests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from asgiref.testing import ApplicationCommunicator


class Socket:
    """Of `user`, or of whoever the `headers` show it to be."""

    def __init__(
        self, application: Any, path: str, user: Any = None, headers: Sequence[tuple[bytes, bytes]] = ()
    ) -> None:
        scope = {
            "type": "websocket",
            "path": path,
            "headers": list(headers),
            "query_string": b"",
            "subprotocols": [],
            **({"user": user} if user else {}),
        }
        self.application = ApplicationCommunicator(application, scope)

    async def connect(self) -> bool:
        await self.application.send_input({"type": "websocket.connect"})
        return (await self.application.receive_output(timeout=5))["type"] == "websocket.accept"

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
