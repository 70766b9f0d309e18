"""The one WebSocket of a page: it names the topics it shows and is told when they change."""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.utils import timezone

from apps.core import live
from apps.core.live_channel import group_name, is_after, person_group

MAX_TOPICS = 200
COME_AGAIN = 4401  # close code: what let this socket in may hold no longer; the page may ask again


class LiveConsumer(AsyncJsonWebsocketConsumer):
    """Joins its organization's group and forwards the events of the topics it asked for, until its person is told off.

    A page that says `since` which position it was told of gets what it missed, once, and then each event once.
    `organizations.sockets.TenantSocketMiddleware` lets members in, and puts `organization_id`, `admitted_until` and
    `is_still_admitted` into the scope.
    """

    async def connect(self) -> None:
        self.topics: set[str] = set()
        self.at = ""  # the position up to which the page was told
        self.joined = [group_name(self.scope["organization_id"]), person_group(self.scope["user"].pk)]
        for group in self.joined:
            await self.channel_layer.group_add(group, self.channel_name)
        await self.accept()
        if not await self.scope["is_still_admitted"]():  # removed between the handshake and the groups above
            await self.close(code=COME_AGAIN)

    async def disconnect(self, code: int) -> None:
        for group in self.joined:
            await self.channel_layer.group_discard(group, self.channel_name)

    async def receive_json(self, content: Any, **kwargs: Any) -> None:
        topics = content.get("subscribe") if isinstance(content, dict) else None
        if isinstance(topics, list):
            self.topics = {str(topic)[:100] for topic in topics[:MAX_TOPICS]}
            missed = await self._missed(str(content["since"])) if "since" in content else {}
            await self.send_json({"subscribed": sorted(self.topics), **missed})

    async def live_event(self, message: dict[str, str]) -> None:
        if self._is_over():
            await self.close(code=COME_AGAIN)
        elif self.at and message["after"] != self.at:
            await self._catch_up(message["at"])
        else:
            self.at = message["at"]
            if message["topic"] in self.topics:
                await self.send_json({key: message[key] for key in ("topic", "event", "at")})

    def _is_over(self) -> bool:
        until = self.scope["admitted_until"]
        return until is not None and until <= timezone.now()

    async def _catch_up(self, position: str) -> None:
        """What was told already is not told again; what was lost on the way, all up to now, is."""
        if is_after(position, self.at):
            await self.send_json(await self._missed(self.at))

    async def _missed(self, since: str) -> dict[str, Any]:
        missed = await sync_to_async(live.missed_since, thread_sensitive=False)(self.scope["organization_id"], since)
        self.at = missed.at
        return {"at": missed.at, "missed": None if missed.topics is None else sorted(missed.topics & self.topics)}

    async def live_disconnect(self, message: dict[str, str]) -> None:
        await self.close(code=COME_AGAIN)
