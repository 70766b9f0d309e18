"""The one WebSocket of a page: it names the topics it shows and is told when they change."""

from __future__ import annotations

from typing import Any

from channels.generic.websocket import AsyncJsonWebsocketConsumer

from apps.core.live_channel import group_name, person_group

MAX_TOPICS = 200
COME_AGAIN = 4401  # close code: what let this socket in may hold no longer; the page may ask again


class LiveConsumer(AsyncJsonWebsocketConsumer):
    """Joins its organization's group and forwards the events of the topics it asked for, until its person is told off.

    `scope["organization_id"]` and the membership behind it are set by `organizations.sockets.TenantSocketMiddleware`.
    """

    async def connect(self) -> None:
        self.topics: set[str] = set()
        self.joined = [group_name(self.scope["organization_id"]), person_group(self.scope["user"].pk)]
        for group in self.joined:
            await self.channel_layer.group_add(group, self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        for group in self.joined:
            await self.channel_layer.group_discard(group, self.channel_name)

    async def receive_json(self, content: Any, **kwargs: Any) -> None:
        topics = content.get("subscribe") if isinstance(content, dict) else None
        if isinstance(topics, list):
            self.topics = {str(topic)[:100] for topic in topics[:MAX_TOPICS]}
            await self.send_json({"subscribed": sorted(self.topics)})

    async def live_event(self, message: dict[str, str]) -> None:
        if message["topic"] in self.topics:
            await self.send_json({"topic": message["topic"], "event": message["event"]})

    async def live_disconnect(self, message: dict[str, str]) -> None:
        await self.close(code=COME_AGAIN)
