"""The WebSocket of a page: only for members, only what it asked for."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import transaction

from apps.core import live, live_channel, tenancy
from apps.core.consumers import COME_AGAIN
from apps.organizations.models import Membership
from apps.organizations.sockets import NOT_FOUND
from tests.core.sockets import Socket

pytestmark = pytest.mark.django_db(transaction=True)


async def connect(user: Any, slug: str) -> tuple[Socket, bool]:
    socket = Socket(slug, user)
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
    told_of = await socket.receive()
    assert (told_of["topic"], told_of["event"]) == ("job:1", "changed")
    await socket.close()


async def told(organization: Any, *topics: str) -> None:
    for topic in topics:
        await publish(organization, topic)


async def test_a_page_that_returns_is_told_what_it_missed_and_nothing_twice(acme: Any, viewer: Any) -> None:
    first, _ = await connect(viewer, "acme")
    await first.send({"subscribe": ["jobs", "job:1"], "since": ""})
    await first.receive()
    await publish(acme, "jobs")
    heard = await first.receive()
    await first.close()
    await told(acme, "job:1", "job:1", "somebody else's")

    back, _ = await connect(viewer, "acme")
    await back.send({"subscribe": ["jobs", "job:1"], "since": heard["at"]})
    answer = await back.receive()
    assert (answer["subscribed"], answer["missed"]) == (["job:1", "jobs"], ["job:1"])
    await publish(acme, "jobs")
    assert (await back.receive())["topic"] == "jobs"
    assert await back.hears_nothing()
    await back.close()


async def test_a_page_that_is_up_to_date_is_told_that_it_missed_nothing(acme: Any, viewer: Any) -> None:
    await publish(acme, "jobs")
    socket, _ = await connect(viewer, "acme")
    await socket.send({"subscribe": ["jobs"], "since": ""})
    at = (await socket.receive())["at"]
    await socket.send({"subscribe": ["jobs"], "since": at})
    assert await socket.receive() == {"subscribed": ["jobs"], "at": at, "missed": []}
    await socket.close()


@pytest.mark.parametrize("since", ["", "1-1", "99999999999999-0", "nonsense", "- +", None, 7])
async def test_a_page_whose_position_nobody_knows_fetches_everything(acme: Any, viewer: Any, since: Any) -> None:
    await publish(acme, "jobs")
    socket, _ = await connect(viewer, "acme")
    await socket.send({"subscribe": ["jobs"], "since": since})
    assert (await socket.receive())["missed"] is None
    await socket.close()


async def test_an_event_lost_on_the_way_to_an_open_socket_is_told_with_the_next_one(acme: Any, viewer: Any) -> None:
    await publish(acme, "warm")
    socket, _ = await connect(viewer, "acme")
    await socket.send({"subscribe": ["jobs", "job:1"], "since": ""})
    await socket.receive()
    ring = live_channel.RING.format(organization_id=acme.pk)
    await sync_to_async(live._client().xadd)(ring, {"topic": "job:1"})  # what the channel layer dropped
    await publish(acme, "jobs")
    assert (await socket.receive())["missed"] == ["job:1", "jobs"]
    assert await socket.hears_nothing()
    await socket.close()


async def test_what_left_the_ring_makes_the_page_fetch_everything(acme: Any, viewer: Any) -> None:
    await publish(acme, "jobs")
    socket, _ = await connect(viewer, "acme")
    await socket.send({"subscribe": ["jobs"], "since": ""})
    await socket.receive()
    await sync_to_async(live_channel.forget_raw)(live._client(), acme.pk)
    await publish(acme, "jobs")
    assert (await socket.receive())["missed"] is None
    await socket.close()


async def test_positions_of_another_organization_tell_nothing_of_it(
    acme: Any, globex: Any, outsider: Any, viewer: Any
) -> None:
    await told(acme, "jobs", "jobs")
    await sync_to_async(live_channel.forget_raw)(live._client(), globex.pk)  # its founding was told
    mine, _ = await connect(viewer, "acme")
    await mine.send({"subscribe": ["jobs"], "since": ""})
    position = (await mine.receive())["at"]
    foreign, _ = await connect(outsider, "globex")
    await foreign.send({"subscribe": ["jobs"], "since": position})
    assert await foreign.receive() == {"subscribed": ["jobs"], "at": live_channel.NOWHERE, "missed": None}
    await mine.close()
    await foreign.close()


async def test_another_organizations_events_are_not_heard(acme: Any, globex: Any, outsider: Any) -> None:
    socket, _ = await connect(outsider, "globex")
    await socket.send({"subscribe": ["jobs"]})
    await socket.receive()
    await publish(acme, "jobs")
    assert await socket.hears_nothing()
    await socket.close()


async def test_strangers_are_turned_away_for_good_and_hear_nothing(acme: Any, globex: Any, outsider: Any) -> None:
    for user, slug in ((outsider, "acme"), (None, "acme"), (outsider, "no-such-organization")):
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
