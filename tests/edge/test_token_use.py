"""Tokens in the data plane: from where, with which secret, until when, and what is told of their use."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings

from apps.core import tenancy, tokens
from apps.core.actors import Actor
from apps.core.edge import Answer, Call
from apps.organizations import services
from apps.organizations.edge import note_use
from apps.organizations.enums import TokenKind
from apps.organizations.models import Membership
from apps.organizations.permissions import TABLE
from tests.conftest import actor_of
from tests.edge.plane import INFER, MODEL, Plane, Reply, Server, wait_until
from tests.edge.test_predictions import call_event

READY = f"/v2/models/{MODEL}/ready"


def ask(server: Server, token: Any, path: str = READY, **headers: str) -> Reply:
    return server.call("GET", path, headers={"authorization": f"Bearer {token}", **headers})


def known(plane: Plane, token: tokens.Token) -> None:
    """Publish, and wait until the edge knows the token."""
    plane.acme.publish()
    wait_until(lambda: ask(plane.edge, token).status != 401, "the new token")


# Networks


def test_a_call_from_elsewhere_is_refused_recorded_and_no_use(serving: Plane) -> None:
    token = serving.acme.token("predictions.create", networks=["10.0.0.0/8", "2001:db8::/32"])
    known(serving, token)
    reply = serving.infer(token=token, **{"x-forwarded-for": "10.1.2.3"})
    assert (reply.status, reply.json["code"]) == (403, "address_not_allowed")
    assert "127.0.0.1" in reply.json["detail"]
    assert call_event(serving, reply.json["request_id"])["error_code"] == "address_not_allowed"
    assert token.token_id not in {event["token"] for event in serving.valkey.events("events:tokens")}
    forged = tokens.Token(token.organization_id, token.token_id, "x" * 43)
    assert serving.infer(token=forged).status == 401


def test_a_call_from_a_network_of_the_list_passes(serving: Plane) -> None:
    token = serving.acme.token("predictions.create", networks=["10.0.0.0/8", "127.0.0.0/8"])
    known(serving, token)
    assert serving.infer(token=token).status == 200


# Rotation


def test_the_previous_secret_works_until_its_overlap_is_over_without_a_publication(serving: Plane) -> None:
    first = serving.acme.token("predictions.create")
    known(serving, first)
    second = serving.acme.rotate(first, previous_expires_at=time.time() + 2)
    known(serving, second)
    assert serving.infer(token=second).status == 200
    version = serving.acme.version
    wait_until(lambda: ask(serving.edge, first).status == 401, "the end of the overlap")
    assert serving.acme.version == version
    assert serving.infer(token=second).status == 200


def test_a_second_rotation_ends_the_oldest_secret(serving: Plane) -> None:
    first = serving.acme.token("predictions.create")
    second = serving.acme.rotate(first, previous_expires_at=time.time() + 3600)
    known(serving, second)
    assert ask(serving.edge, first).status == 200
    third = serving.acme.rotate(second, previous_expires_at=time.time() + 3600)
    known(serving, third)
    assert [ask(serving.edge, token).status for token in (first, second, third)] == [401, 200, 200]


def test_a_snapshot_from_before_rotations_still_serves(serving: Plane) -> None:
    token = serving.acme.token("predictions.create")
    del serving.acme.tokens[token.token_id]["previous"], serving.acme.tokens[token.token_id]["networks"]
    known(serving, token)
    assert serving.infer(token=token).status == 200
    forged = tokens.Token(token.organization_id, token.token_id, "x" * 43)
    assert serving.infer(token=forged).status == 401


def test_a_token_ends_by_the_clock_without_a_publication(serving: Plane) -> None:
    token = serving.acme.token("predictions.create", expires_at=time.time() + 2)
    known(serving, token)
    version = serving.acme.version
    wait_until(lambda: ask(serving.edge, token).status == 401, "the end of the token")
    assert serving.acme.version == version


# Scopes


def test_s2_each_scope_opens_its_own_operations_of_the_data_plane_and_no_others(serving: Plane) -> None:
    with_one = {scope: serving.acme.token(scope) for scope in TABLE}
    known(serving, with_one["predictions.create"])
    opened = {
        (path, scope)
        for scope, token in with_one.items()
        for path in (INFER, READY, f"/v2/models/{MODEL}")
        if (serving.infer(token=token) if path == INFER else ask(serving.edge, token, path)).status == 200
    }
    inspected = {
        (path, s) for path in (READY, f"/v2/models/{MODEL}") for s in ("predictions.create", "deployments.read")
    }
    assert opened == {(INFER, "predictions.create"), *inspected}


@pytest.mark.parametrize("name", ["token", "access_token", "authorization"])
def test_a_token_in_the_address_is_no_token(name: str, serving: Plane) -> None:
    assert serving.edge.call("GET", f"{READY}?{name}={serving.token}").status == 401


# Use


def test_a_use_is_told_with_its_address_and_client_once_a_minute(serving: Plane) -> None:
    token = serving.acme.token("predictions.create")
    known(serving, token)

    def told() -> list[dict[str, Any]]:
        return [event for event in serving.valkey.events("events:tokens") if event["token"] == token.token_id]

    (event,) = wait_until(told, "the use")
    assert (event["organization_id"], event["client"]) == (serving.acme.id, "127.0.0.1")
    for _ in range(3):
        reply = ask(serving.edge, token, **{"user-agent": "again"})
    call_event(serving, reply.headers["x-request-id"])
    assert told() == [event]


async def test_a_use_is_told_again_after_a_minute_and_for_each_token() -> None:
    now = 1000.0
    stage = note_use(clock=lambda: now)

    async def answer(call: Call) -> Answer:
        return Answer(200, [], b"")

    async def tells(token_id: str) -> bool:
        call = Call("GET", "/", b"", {b"user-agent": b"curl\x00" + b"x" * 300}, "127.0.0.1", "req", read=lambda: None)
        call.token_id = token_id
        await stage(call, answer)
        for stream, make_event in call.events:
            assert stream == "events:tokens"
            assert make_event()["agent"] == ("curl?" + "x" * 300)[:200]
        return bool(call.events)

    assert [await tells(token_id) for token_id in ("a", "a", "b", "b")] == [True, False, True, False]
    now += 59.9
    assert not await tells("a")
    now += 0.1
    assert await tells("a")
    assert not await tells("a")


def test_s3_no_log_of_the_edge_holds_a_token(plane: Plane, capfd: pytest.CaptureFixture[str]) -> None:
    plane.acme.deploy()
    plane.acme.publish()
    plane.start_edge()
    for token in (plane.token, "my_" + "0" * 64 + "." + "secretsecret" * 4):
        plane.infer(token=token)
        plane.edge.call("GET", f"{READY}?token={token}")
    plane.edge.stop()
    written = capfd.readouterr()
    assert "/v2/models" in written.out + written.err
    for secret in (plane.token.secret, "secretsecret"):
        assert secret not in written.out + written.err


# Taking away: the real control plane publishes, a real edge listens


@pytest.fixture
def edge(tmp_path: Path, transactional_db: None) -> Any:
    server = Server(tmp_path, "workers.edge", REDIS_URL=settings.REDIS_URL, STATE_DIR=str(tmp_path))
    yield server
    server.kill()


def revoke(token: Any, actor: Actor) -> None:
    services.revoke_token(token, by=actor)


def demote(token: Any, actor: Actor) -> None:
    services.change_role(token.membership, "billing", by=actor)


def remove(token: Any, actor: Actor) -> None:
    services.remove_member(token.membership, by=actor)


def deactivate(token: Any, actor: Actor) -> None:
    token.membership.user.is_active = False
    token.membership.user.save()


def rotate(token: Any, actor: Actor) -> None:
    person = token.membership.user
    services.rotate_token(token, by=actor_of(person, "developer"), overlap=timedelta())


def restrict(token: Any, actor: Actor) -> None:
    services.edit_token(token, token.name, ["192.0.2.0/24"], by=actor)


@pytest.mark.parametrize(
    ("take_away", "status"),
    [(revoke, 401), (demote, 403), (remove, 401), (deactivate, 401), (rotate, 401), (restrict, 403)],
)
def test_what_is_taken_away_is_refused_by_the_edge_as_soon_as_it_is_published(
    take_away: Callable[[Any, Actor], None], status: int, edge: Server, acme: Any, developer: Any, actor: Actor
) -> None:
    with tenancy.scope(acme.pk):
        by = actor_of(developer, "developer")
        text = services.create_token("t", ["predictions.create"], by=by)[1]
        stays = services.create_token("o", ["predictions.create"], by=actor, kind=TokenKind.ORGANIZATION)[1]
    wait_until(lambda: ask(edge, text).status == ask(edge, stays).status == 404, "both tokens")
    with redis.Redis.from_url(settings.REDIS_URL).pubsub(ignore_subscribe_messages=True) as channel:
        channel.subscribe("snapshots")
        with tenancy.scope(acme.pk):
            take_away(Membership.objects.get(user=developer).tokens.get(), actor)
        wait_until(lambda: is_announced(channel, acme), "the publication")
    wait_until(lambda: ask(edge, text).status == status, "the refusal")
    assert ask(edge, stays).status == 404, "no such model, but who calls is known"


def test_a_suspended_organization_is_refused_by_the_edge_until_it_is_resumed(
    edge: Server, acme: Any, actor: Actor
) -> None:
    with tenancy.scope(acme.pk):
        text = services.create_token("t", ["predictions.create"], by=actor)[1]
        wait_until(lambda: ask(edge, text).status == 404, "the token")
        services.suspend_organization(acme, "an open invoice", by=actor)
        wait_until(lambda: ask(edge, text).status == 403, "the refusal")
        services.resume_organization(acme, by=actor)
        wait_until(lambda: ask(edge, text).status == 404, "the token again")


def is_announced(channel: Any, organization: Any) -> bool:
    message = channel.get_message(timeout=0.5)
    return message is not None and message["data"].decode() == str(organization.pk)
