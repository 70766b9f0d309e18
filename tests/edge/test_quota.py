"""Hard amounts in the data plane: real edges, one counter, and what happens while Redis is away (S7)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from apps.usage.edge import rows_of
from apps.usage.quotas import Counter, Quotas
from tests.edge.plane import Plane, wait_until
from tests.replica.models import infer_request


def include(plane: Plane, limit: int, used: int = 0) -> Counter:
    """Publish an amount, and the counter as the control plane installs it."""
    period = f"{datetime.now(UTC):%Y-%m}"
    plane.acme.usage["predictions"] = {"limit": limit, "period": period, "used": used}
    counter = Counter(plane.acme.id, "predictions", period, limit)
    quotas = Quotas(plane.valkey.client)
    assert quotas.install(counter, used, quotas.settled(counter))
    return counter


def total(plane: Plane, counter: Counter) -> tuple[int, int]:
    used, held = plane.valkey.client.hmget(counter.keys[0], "used", "held")
    return int(used or 0), int(held or 0)


def rows(number: int) -> Any:
    return infer_request([1.0] * number, [1] * number, ["pro"] * number)


@pytest.fixture
def serving_plane(plane: Plane) -> Plane:
    plane.acme.deploy(plane.start_replica())
    return plane


def test_s7_two_edges_let_as_many_rows_pass_as_are_included(serving_plane: Plane) -> None:
    plane = serving_plane
    counter = include(plane, limit=10)
    plane.acme.publish()
    edges = [plane.start_edge(), plane.start_edge()]
    headers = {"authorization": f"Bearer {plane.token}"}
    path = "/v2/models/leaving/infer"
    with ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(lambda at: edges[at % 2].call("POST", path, rows(1), headers), range(100)))
    assert sorted({reply.status for reply in replies}) == [200, 429]
    assert sum(reply.status == 200 for reply in replies) == 10
    wait_until(lambda: total(plane, counter) == (10, 0), "all settled")
    refused = next(reply for reply in replies if reply.status == 429)
    assert refused.json["code"] == "quota_exceeded"
    assert int(refused.headers["Retry-After"]) > 0
    wait_until(lambda: len(plane.valkey.events("events:usage")) == 10, "an event for each call that passed")


def test_a_refused_call_uses_nothing_and_a_failed_one_gives_back(serving_plane: Plane) -> None:
    plane = serving_plane
    counter = include(plane, limit=10)
    plane.acme.publish()
    plane.start_edge()
    assert plane.infer(rows(11)).status == 429
    assert plane.infer(infer_request(age="old")).status == 422
    wait_until(lambda: total(plane, counter) == (0, 0), "given back")
    assert plane.infer(rows(10)).status == 200


def test_without_redis_each_edge_counts_from_the_last_amount_that_it_knows(serving_plane: Plane) -> None:
    plane = serving_plane
    include(plane, limit=10, used=4)
    plane.acme.publish()
    plane.start_edge()
    assert plane.infer(rows(1)).status == 200
    plane.valkey.kill()
    assert [plane.infer(rows(2)).status for _ in range(3)] == [200, 200, 429]
    plane.valkey.start()


def test_a_counter_that_redis_lost_is_not_taken_for_nothing(serving_plane: Plane) -> None:
    plane = serving_plane
    counter = include(plane, limit=10, used=9)
    plane.acme.publish()
    plane.start_edge()
    plane.valkey.client.delete(*counter.keys)
    assert [plane.infer(rows(1)).status for _ in range(2)] == [200, 429]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"inputs": [{"shape": [3, 1], "data": [1]}]}', 3),
        (b'{"inputs":[{"data":[1],"shape" : [ 12 ]}]}', 12),
        (b'{"inputs": []}', 1),
        (b"\xff\x00", 1),
        (b'{"shape": [-4]}', 1),
        (b'{"parameters": {"shape": [0]}, "inputs": [{"shape": [900, 1]}]}', 1),
    ],
)
def test_the_rows_are_those_that_the_body_says(body: bytes, expected: int) -> None:
    assert rows_of(body) == expected
