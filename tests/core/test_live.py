"""The WebSocket of a page: only for members, only what it asked for."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import AnonymousUser
from django.db import transaction

from apps.core import live, tenancy
from apps.core.consumers import COME_AGAIN
from apps.organizations.models import Membership
from apps.organizations.sockets import NOT_FOUND
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


async def test_strangers_are_turned_away_for_good_and_hear_nothing(acme: Any, globex: Any, outsider: Any) -> None:
    for user, slug in ((outsider, "acme"), (AnonymousUser(), "acme"), (outsider, "no-such-organization")):
        socket, _ = await connect(user, slug)
        assert await socket.closed_with() == NOT_FOUND
        await publish(acme, "jobs")
        assert await socket.hears_nothing()


async def test_s1_a_person_who_is_told_off_loses_every_open_socket_and_others_keep_theirs(
    acme: Any, owner: Any, viewer: Any
) -> None:
    first, second, others = [(await connect(user, "acme"))[0] for user in (viewer, viewer, owner)]
    await sync_to_async(live.disconnect)(viewer.pk)
    assert await first.closed_with() == COME_AGAIN
    assert await second.closed_with() == COME_AGAIN
    assert await others.hears_nothing()
    await others.close()


async def test_s1_only_who_is_still_a_member_comes_back(acme: Any, viewer: Any) -> None:
    back, connected = await connect(viewer, "acme")
    assert connected
    await back.close()
    await end_membership(acme, viewer)
    gone, _ = await connect(viewer, "acme")
    assert await gone.closed_with() == NOT_FOUND


async def test_sockets_are_closed_after_the_commit_and_not_by_what_is_rolled_back(acme: Any, viewer: Any) -> None:
    socket, _ = await connect(viewer, "acme")
    await sync_to_async(disconnect_and_roll_back)(viewer)
    assert await socket.hears_nothing()
    await socket.close()


def disconnect_and_roll_back(user: Any) -> None:
    with transaction.atomic():
        live.disconnect(user.pk)
        transaction.set_rollback(True)


@sync_to_async
def end_membership(organization: Any, user: Any) -> None:
    with tenancy.scope(organization.pk):
        Membership.objects.get(user=user).delete()


async def test_nonsense_does_not_close_the_socket(acme: Any, viewer: Any) -> None:
    socket, _ = await connect(viewer, "acme")
    for nonsense in ([], {"subscribe": "jobs"}, {"x": 1}):
        await socket.send(nonsense)
    await socket.send({"subscribe": ["jobs"] * 500})
    assert await socket.receive() == {"subscribed": ["jobs"]}
    await socket.close()
