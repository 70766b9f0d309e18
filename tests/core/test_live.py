"""The WebSocket of a page: only for members, only what it asked for."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import AnonymousUser

from apps.core import live, tenancy
from config.websocket_urls import websockets
from tests.core.sockets import Socket

pytestmark = pytest.mark.django_db(transaction=True)


async def connect(user: Any, slug: str) -> tuple[Socket, bool]:
    socket = Socket(websockets, f"/ws/o/{slug}/live/", user)
    return socket, await socket.connect()


@sync_to_async
def publish(organization: Any, topic: str) -> None:
    with tenancy.scope(organization.pk):
        live.publish(topic)


async def test_a_member_hears_the_topics_asked_for_and_no_others(acme: Any, viewer: Any) -> None:
    socket, connected = await connect(viewer, "acme")
    assert connected
    await socket.send({"subscribe": ["job:1"]})
    assert await socket.receive() == {"subscribed": ["job:1"]}
    await publish(acme, "job:2")
    await publish(acme, "job:1")
    assert await socket.receive() == {"topic": "job:1", "event": "changed"}
    await socket.close()


async def test_another_organizations_events_are_not_heard(acme: Any, globex: Any, outsider: Any) -> None:
    socket, _ = await connect(outsider, "globex")
    await socket.send({"subscribe": ["jobs"]})
    await socket.receive()
    await publish(acme, "jobs")
    assert await socket.hears_nothing()
    await socket.close()


async def test_strangers_are_turned_away(acme: Any, globex: Any, outsider: Any) -> None:
    for user in (outsider, AnonymousUser()):
        _, connected = await connect(user, "acme")
        assert not connected
    _, connected = await connect(outsider, "no-such-organization")
    assert not connected


async def test_nonsense_does_not_close_the_socket(acme: Any, viewer: Any) -> None:
    socket, _ = await connect(viewer, "acme")
    for nonsense in ([], {"subscribe": "jobs"}, {"x": 1}):
        await socket.send(nonsense)
    await socket.send({"subscribe": ["jobs"] * 500})
    assert await socket.receive() == {"subscribed": ["jobs"]}
    await socket.close()
