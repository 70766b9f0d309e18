"""What goes wrong around the edge: replicas, tokens and Redis that come and go."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from tests.edge.plane import INFER, Plane, wait_until


class Load:
    """Clients that call without pause until they are stopped; counts what they were answered."""

    def __init__(self, plane: Plane, clients: int = 4) -> None:
        self._plane = plane
        self._stopping = threading.Event()
        self.statuses: Counter[int] = Counter()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.statuses[self._plane.infer().status] += 1

    def wait_for(self, calls: int) -> None:
        goal = self.statuses.total() + calls
        wait_until(lambda: self.statuses.total() >= goal, f"{calls} more calls")

    def stop(self) -> Counter[int]:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        return self.statuses


@pytest.fixture
def pair(plane: Plane) -> Plane:
    """A deployment on two replicas."""
    plane.replicas = [plane.start_replica(), plane.start_replica()]
    plane.acme.deploy(*plane.replicas)
    plane.acme.publish()
    plane.start_edge()
    return plane


def replicas_used(plane: Plane) -> Counter[str]:
    return Counter(event["replica"] for event in plane.valkey.events("events:calls"))


def test_two_replicas_share_the_calls(pair: Plane) -> None:
    load = Load(pair)
    load.wait_for(200)
    assert set(load.stop()) == {200}
    used = wait_until(lambda: (u := replicas_used(pair)).total() >= 200 and u, "the records")
    assert set(used) == {replica.id for replica in pair.replicas}


def test_no_call_fails_when_a_replica_is_killed_under_load(pair: Plane) -> None:
    load = Load(pair)
    load.wait_for(50)
    pair.replicas[0].server.kill()
    load.wait_for(200)
    statuses = load.stop()
    assert set(statuses) == {200}
    calls = statuses.total()
    wait_until(lambda: len(pair.valkey.events("events:usage")) == calls, "one usage event for each call")
    assert len({event["id"] for event in pair.valkey.events("events:usage")}) == calls


def test_a_stopped_replica_that_was_replaced_is_forgotten(pair: Plane) -> None:
    fresh = pair.start_replica()
    pair.acme.deploy(fresh)
    pair.acme.publish()
    for replica in pair.replicas:
        replica.server.kill()
    wait_until(lambda: pair.infer().status == 200, "the new replica answering")
    wait_until(lambda: fresh.id in replicas_used(pair), "its record")


def test_a_deployment_without_replicas_says_what_to_do(plane: Plane) -> None:
    plane.acme.deploy()
    plane.acme.publish()
    edge = plane.start_edge()
    reply = plane.infer()
    assert (reply.status, reply.json["code"], reply.headers["retry-after"]) == (503, "no_replica", "5")
    assert "Start it" in reply.json["detail"]
    headers = {"authorization": f"Bearer {plane.token}"}
    assert edge.call("GET", INFER.replace("infer", "ready"), headers=headers).status == 503


def test_a_deployment_whose_only_replica_died_is_served_again_when_another_is_published(plane: Plane) -> None:
    first = plane.start_replica()
    plane.acme.deploy(first)
    plane.acme.publish()
    plane.start_edge()
    assert plane.infer().status == 200
    first.server.kill()
    reply = plane.infer()
    assert (reply.status, reply.json["code"], reply.headers["retry-after"]) == (503, "replicas_failed", "2")
    plane.acme.deploy(plane.start_replica())
    plane.acme.publish()
    wait_until(lambda: plane.infer().status == 200, "the second replica")


def test_a_revoked_token_is_refused_as_soon_as_it_is_published(pair: Plane) -> None:
    assert pair.infer().status == 200
    del pair.acme.tokens[pair.token.token_id]
    pair.acme.publish()
    wait_until(lambda: pair.infer().status == 401, "the refusal")


def test_an_older_snapshot_changes_nothing(pair: Plane) -> None:
    pair.acme.publish(version=10)
    revoked = pair.acme.tokens.pop(pair.token.token_id)
    pair.acme.publish(version=9)
    marker = pair.acme.token("predictions.create")
    pair.acme.tokens[pair.token.token_id] = revoked
    pair.acme.publish(version=11)
    wait_until(lambda: pair.infer(token=marker).status == 200, "version 11")
    assert pair.infer().status == 200


def test_without_redis_the_edge_serves_from_disk_and_its_events_follow(pair: Plane) -> None:
    """P8"""
    assert pair.infer(**{"X-Request-Id": "before-it-all"}).status == 200
    wait_until(lambda: pair.valkey.events("events:usage"), "the first event")
    pair.valkey.kill()
    assert pair.infer().status == 200
    pair.edge.stop()
    pair.start_edge()
    assert [pair.infer().status for _ in range(5)] == [200] * 5
    pair.valkey.start()
    wait_until(lambda: len(pair.valkey.events("events:usage")) == 7, "every event, each once")
    assert len({event["id"] for event in pair.valkey.events("events:usage")}) == 7


def test_events_of_a_killed_edge_are_adopted_by_the_next(pair: Plane) -> None:
    assert pair.infer().status == 200
    wait_until(lambda: len(pair.valkey.events("events:usage")) == 1, "the first event")
    pair.valkey.kill()
    assert pair.infer().status == 200
    spools = pair.folder / "spool"
    wait_until(lambda: any(path.stat().st_size for path in spools.glob("*.jsonl")), "the spool")
    pair.edge.kill()
    pair.valkey.start()
    pair.start_edge()
    wait_until(lambda: len(pair.valkey.events("events:usage")) == 2, "the dead edge's event")
    wait_until(lambda: not list(spools.glob("*.jsonl")), "the spool gone")


def test_stopping_the_edge_sends_what_was_queued(pair: Plane) -> None:
    assert [pair.infer().status for _ in range(3)] == [200] * 3
    pair.edge.stop()
    assert len(pair.valkey.events("events:usage")) == 3
