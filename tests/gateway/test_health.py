"""What the data plane tells of upstreams: through real edges, a provider that fails, and Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from apps.core.edge import Snapshot
from apps.gateway import health
from apps.gateway.configuration import compiled
from apps.gateway.health import VIEWS, Publisher, Seen
from apps.gateway.routing import Standing
from apps.gateway.sending import Keys
from tests.edge.plane import Plane, Server, made_plane, wait_until
from tests.gateway.plane import add_route, add_upstream, section, target
from tests.replica.models import ModelFiles
from tests.stand_ins import provider
from tests.stand_ins.provider import Provider

ASK = [{"role": "user", "content": "Say good morning"}]


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    with provider.running() as started:
        yield started


@pytest.fixture
def stand_in(running: Provider) -> Provider:
    running.forget()
    return running


@pytest.fixture
def plane(tmp_path: Path, stand_in: Provider) -> Iterator[Plane]:
    for made in made_plane(tmp_path, ModelFiles(tmp_path, tmp_path)):
        made.token = made.acme.token("gateway.call")
        yield made


def serve(plane: Plane, stand_in: Provider, secrets: tuple[str, ...] = ("sk-up",), **health_path: Any) -> str:
    """An upstream behind the route `chat`, and an edge that knows it."""
    upstream_id = add_upstream(plane.acme, f"{stand_in.url}/v1", secrets=secrets)
    if health_path:
        section(plane.acme)["upstreams"][upstream_id]["health"] = health_path
    add_route(plane.acme, "chat", target(upstream_id), attempts=1)
    plane.acme.publish()
    plane.start_edge(OUTBOUND_ALLOWED_NETWORKS="127.0.0.0/8")
    return upstream_id


def ask(plane: Plane, server: Server | None = None) -> int:
    headers = {"authorization": f"Bearer {plane.token}", "content-type": "application/json"}
    body = {"model": "chat", "messages": ASK}
    return (server or plane.edge).call("POST", "/v1/chat/completions", body, headers).status


def seen(plane: Plane, upstream_id: str) -> Seen | None:
    return health.read(plane.valkey.client, plane.acme.id).get(upstream_id)


def test_only_what_was_called_is_seen_and_ends_with_its_process(plane: Plane, stand_in: Provider) -> None:
    upstream_id = serve(plane, stand_in)
    add_upstream(plane.acme, f"{stand_in.url}/v1")
    assert health.read(plane.valkey.client, plane.acme.id) == {}
    assert ask(plane) == 200
    found = wait_until(lambda: seen(plane, upstream_id), "the upstream")
    assert health.read(plane.valkey.client, plane.acme.id).keys() == {upstream_id}
    assert (found.processes, found.breaker, found.in_flight, found.failures) == (1, "closed", 0, {})
    assert found.latency_ms > 0
    plane.edge.kill()
    assert wait_until(lambda: seen(plane, upstream_id) is None, "its silence")


def test_several_processes_are_told_as_one(plane: Plane, stand_in: Provider) -> None:
    upstream_id = serve(plane, stand_in)
    first = plane.edge
    second = plane.start_edge(OUTBOUND_ALLOWED_NETWORKS="127.0.0.0/8", STATE_DIR=str(plane.folder / "second"))
    stand_in.answer = provider.refusing(500, "out of order", "server_error")
    for _ in range(5):
        assert ask(plane, first) == 502
    stand_in.answer = provider.saying()
    assert ask(plane, second) == 200
    found = wait_until(lambda: one if (one := seen(plane, upstream_id)) and one.processes == 2 else None, "both")
    assert (found.breaker, found.failures) == ("open", {"server_error": 5})
    # Nobody calls, so that nothing new is written: the time itself tells that one may try again.
    wait_until(lambda: (one := seen(plane, upstream_id)) and one.breaker == "half_open", "a half-open breaker")


def test_a_key_that_rests_is_told(plane: Plane, stand_in: Provider) -> None:
    upstream_id = serve(plane, stand_in, secrets=("sk-one", "sk-two"))
    stand_in.answer = provider.rate_limited("30")
    ask(plane)
    found = wait_until(lambda: one if (one := seen(plane, upstream_id)) and one.resting else None, "a resting key")
    assert len(found.resting) == 1
    assert found.breaker == "closed"


def test_a_health_path_is_asked_with_the_key_by_one_process_at_a_time(plane: Plane, stand_in: Provider) -> None:
    upstream_id = serve(plane, stand_in, path="/models", interval_s=1)
    plane.start_edge(OUTBOUND_ALLOWED_NETWORKS="127.0.0.0/8", STATE_DIR=str(plane.folder / "second"))
    wait_until(lambda: stand_in.received, "a check")
    first = time.monotonic()
    wait_until(lambda: len(stand_in.received) >= 6, "five more")
    assert time.monotonic() - first > 5 * 0.75
    assert {received.path for received in stand_in.received} == {"/v1/models"}
    assert stand_in.received[0].headers["authorization"] == "Bearer sk-up"
    found = wait_until(lambda: seen(plane, upstream_id), "the check")
    assert found.processes == 0
    assert found.check is not None
    assert (found.check.is_ok, found.check.status) == (True, 200)


def test_checks_that_fail_open_the_breaker_and_one_that_passes_closes_it(plane: Plane, stand_in: Provider) -> None:
    stand_in.answer = provider.refusing(503, "in the garage", "overloaded_error")
    upstream_id = serve(plane, stand_in, path="/models", interval_s=1)

    def check() -> Any:
        found = seen(plane, upstream_id)
        return found.check if found else None

    failed = wait_until(check, "a check")
    assert (failed.is_ok, failed.error_class, failed.message) == (False, "overloaded", "in the garage")
    wait_until(lambda: len(stand_in.received) >= 5, "five checks")
    assert wait_until(lambda: ask(plane) == 503, "a call that fails at once")
    assert {received.path for received in stand_in.received} == {"/v1/models"}
    stand_in.answer = provider.saying()
    wait_until(lambda: (told := check()) and told.is_ok, "a check that passes")
    wait_until(lambda: ask(plane) == 200, "calls")


def test_nothing_is_written_of_what_is_not_there_any_more_and_the_newer_address_is_told(plane: Plane) -> None:
    upstream_id = add_upstream(plane.acme, "https://api.example.com/v1", secrets=())
    then = compiled(plane.acme.id, section(plane.acme)).upstreams[upstream_id]
    section(plane.acme)["upstreams"][upstream_id]["base_url"] = "https://api.elsewhere.example/v1"
    now = compiled(plane.acme.id, section(plane.acme)).upstreams[upstream_id]
    there: dict[str, Snapshot] = {plane.acme.id: Snapshot(plane.acme.id, 1, {"gateway": section(plane.acme)})}

    async def publish() -> None:
        at = asyncio.get_running_loop().time()
        moved = [Standing(now, called_at=at), Standing(then, called_at=at - 1)]
        moved[0].health.in_flight = 2
        redis = Redis.from_url(plane.valkey.url)
        await Publisher(redis, lambda: moved, Keys(lambda sealed, place: sealed), there.get).publish()
        await redis.aclose()

    asyncio.run(publish())
    assert health.read(plane.valkey.client, plane.acme.id)[upstream_id].in_flight == 2
    plane.valkey.client.delete(VIEWS.format(organization_id=plane.acme.id))
    there.clear()
    asyncio.run(publish())
    assert health.read(plane.valkey.client, plane.acme.id) == {}
