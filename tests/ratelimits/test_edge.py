"""The data plane limits calls: real edges, a Valkey of their own, and an organization's policies as published."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from apps.ratelimits import seen
from apps.ratelimits.guards.known import INSTALLATION, KNOWN
from tests.edge.plane import MODEL, Plane, Reply, Server, Tenant, made_plane, wait_until
from tests.ratelimits.published import policy, section
from tests.replica.models import ModelFiles, write_model

MODEL_PATH = f"/v2/models/{MODEL}"
NOWHERE = "postgresql://nobody@127.0.0.1:1/none"


@pytest.fixture(scope="session")
def model_files(tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def plane(tmp_path: Path, model_files: ModelFiles) -> Iterator[Plane]:
    for plane in made_plane(tmp_path, model_files):
        plane.acme.deploy()  # no replica is needed to ask what a model is like
        yield plane


def limit(plane: Plane, *policies: dict[str, Any], tenant: Tenant | None = None, **lists: Any) -> None:
    tenant = tenant or plane.acme
    tenant.limits = section(*policies, **lists)
    tenant.publish()


def call(plane: Plane, edge: Server | None = None, token: Any = None, **headers: str) -> Reply:
    sent = {"authorization": f"Bearer {token or plane.token}", **headers}
    return (edge or plane.edge).call("GET", MODEL_PATH, headers=sent)


def statuses(plane: Plane, count: int, **how: Any) -> list[int]:
    return [call(plane, **how).status for _ in range(count)]


def test_s7_a_hundred_calls_at_once_through_two_edges_against_ten_pass_ten(plane: Plane) -> None:
    limit(plane, policy(limit=10, algorithm="window"))
    edges = [plane.start_edge(), plane.start_edge()]
    with ThreadPoolExecutor(20) as threads:
        replies = list(threads.map(lambda number: call(plane, edges[number % 2]), range(100)))
    assert Counter(reply.status for reply in replies) == {200: 10, 429: 90}


def test_a_refusal_says_which_limit_and_when_to_come_back(plane: Plane) -> None:
    limit(plane, policy(limit=1, window_ms=2000, burst=1))
    plane.start_edge()
    passed, refused = call(plane), call(plane)
    assert passed.status == 200
    assert passed.headers["ratelimit-policy"] == '"Each key";q=1;w=2'
    assert passed.headers["ratelimit"] == '"Each key";r=0;t=2'
    assert passed.headers["x-ratelimit-remaining-requests"] == "0"
    assert (refused.status, refused.json["code"]) == (429, "rate_limited")
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json["violated-policies"] == ["Each key"]
    assert "“Each key” of 1 request every 2 seconds" in refused.json["detail"]
    wait_ms = int(refused.headers["retry-after-ms"])
    assert refused.headers["retry-after"] == str(-(-wait_ms // 1000))
    time.sleep(wait_ms / 1000)
    assert call(plane).status == 200


def test_a_refused_call_stands_in_the_call_log(plane: Plane) -> None:
    limit(plane, policy(limit=1))
    plane.start_edge()
    statuses(plane, 2)
    wait_until(lambda: len(plane.valkey.events("events:calls")) == 2, "both calls")
    assert {event["error_code"] for event in plane.valkey.events("events:calls")} == {"", "rate_limited"}


def test_a_changed_limit_counts_at_once(plane: Plane) -> None:
    limit(plane, policy(limit=1, window_ms=3_600_000))
    plane.start_edge()
    assert statuses(plane, 2) == [200, 429]
    limit(plane, policy(limit=2, window_ms=3_600_000))
    changed_at = time.monotonic()
    wait_until(lambda: call(plane).status == 200, "the raised limit")
    assert time.monotonic() - changed_at < 1
    limit(plane, policy(limit=1, window_ms=3_600_000))
    wait_until(lambda: call(plane).headers["ratelimit-policy"] == '"Each key";q=1;w=3600', "the lowered limit")
    assert call(plane).status == 429


def test_changing_what_counts_a_live_limit_never_fails(plane: Plane) -> None:
    plane.acme.publish()
    plane.start_edge()
    for columns in ({}, {"algorithm": "window"}, {"algorithm": "leases", "quantity": "concurrency"}, {}):
        limit(plane, policy(limit=5, **columns))
        assert set(statuses(plane, 20)) <= {200, 429}


def test_s1_one_organizations_limits_do_not_touch_anothers(plane: Plane) -> None:
    globex = Tenant(plane.valkey)
    token = globex.token("predictions.create")
    globex.deploy()
    for tenant in (plane.acme, globex):
        limit(plane, policy(limit=2, subject=["organization"]), tenant=tenant)
    plane.start_edge()
    assert statuses(plane, 3) == [200, 200, 429]
    assert statuses(plane, 3, token=token) == [200, 200, 429]


def test_the_calls_of_a_persons_token_count_for_the_person(plane: Plane) -> None:
    limit(plane, policy(limit=2, subject=["user"]))
    plane.start_edge()
    assert statuses(plane, 3) == [200, 200, 429]


def test_a_shadow_refuses_nothing_and_is_counted(plane: Plane) -> None:
    limit(plane, policy(limit=1, is_shadow=True))
    plane.start_edge()
    replies = [call(plane) for _ in range(3)]
    assert [reply.status for reply in replies] == [200] * 3
    assert "ratelimit" not in replies[0].headers
    counts = wait_until(lambda: seen_of(plane, "each-key"), "what was seen")
    assert (counts.passed, counts.would_refuse, counts.refused) == (1, 2, 0)


def seen_of(plane: Plane, name: str) -> Any:
    since = datetime.now(UTC) - timedelta(minutes=5)
    return seen.summed(plane.valkey.client, plane.acme.id, since).get(name)


def test_who_was_refused_is_seen(plane: Plane) -> None:
    limit(plane, policy(limit=1))
    plane.start_edge()
    statuses(plane, 3)
    [limited] = wait_until(lambda: seen.limited_now(plane.valkey.client, plane.acme.id), "who is limited")
    assert (limited.policy, limited.subject, limited.refused) == ("each-key", plane.token.token_id, 2)
    counts = seen_of(plane, "each-key")
    assert (counts.passed, counts.refused, counts.least_headroom) == (1, 2, 0.0)


def test_lists_deny_and_allow(plane: Plane) -> None:
    eve = plane.acme.token("predictions.create")
    allow = {"subject": "token", "value": plane.token.token_id}
    deny = {"subject": "token", "value": eve.token_id, "reason": "Scrapes"}
    limit(plane, policy(limit=1, subject=["organization"]), allow=[allow], deny=[deny])
    plane.start_edge()
    assert statuses(plane, 3) == [200] * 3
    refused = call(plane, token=eve)
    assert (refused.status, refused.json["code"]) == (403, "call_denied")


def test_ipv6_counts_by_its_network_and_a_claimed_address_not_at_all(plane: Plane) -> None:
    limit(plane, policy("Each address", subject=["address"], limit=1))
    behind_proxy, open_edge = plane.start_edge(TRUSTED_PROXIES="127.0.0.0/8"), plane.start_edge(TRUSTED_PROXIES="")

    def status(edge: Server, address: str) -> int:
        return call(plane, edge, **{"x-forwarded-for": address}).status

    assert status(behind_proxy, "2001:db8:1:2::1") == 200
    assert status(behind_proxy, "2001:db8:1:2:ffff::9") == 429
    assert status(behind_proxy, "2001:db8:1:3::1") == 200
    assert [status(open_edge, f"203.0.113.{number}") for number in range(3)] == [200, 429, 429]


@pytest.mark.parametrize(("away", "expected"), [("local", [200, 200, 429]), ("open", [200] * 3), ("closed", [429] * 3)])
def test_while_redis_is_away_a_policy_does_what_it_says_and_then_counts_again(
    plane: Plane, away: str, expected: list[int]
) -> None:
    limit(plane, policy(limit=2, window_ms=3_600_000, away=away))
    plane.start_edge()
    assert statuses(plane, 1) == [200]
    plane.valkey.kill()
    assert statuses(plane, 3) == expected
    plane.valkey.start()
    wait_until(lambda: plane.valkey.client.dbsize() and call(plane).status in {200, 429}, "an answer")

    def counts_in_redis() -> bool:
        call(plane)
        return bool(plane.valkey.client.keys(f"limits:{{{plane.acme.id}}}:each-key:*"))

    wait_until(counts_in_redis, "Redis counting again")
    wait_until(lambda: call(plane).status == 429, "the limit of Redis")


def test_while_redis_is_away_two_edges_share_a_limit(plane: Plane) -> None:
    limit(plane, policy(limit=10, window_ms=3_600_000, algorithm="window"))
    edges = [plane.start_edge(), plane.start_edge()]
    processes = f"limits:{{{INSTALLATION}}}:processes:predictions"
    wait_until(lambda: plane.valkey.client.zcard(processes) == 2, "both edges heard of")
    time.sleep(2 * seen.WRITTEN_EVERY_S)  # both have asked since
    plane.valkey.kill()
    for edge in edges:
        assert Counter(statuses(plane, 10, edge=edge)) == {200: 5, 429: 5}


def test_p8_without_postgresql_calls_are_limited(plane: Plane) -> None:
    limit(plane, policy(limit=1))
    plane.start_edge(
        DATABASE_URL=NOWHERE, DATABASE_OWNER_URL=NOWHERE, DATABASE_CONSOLE_URL=NOWHERE, DATABASE_SINK_URL=NOWHERE
    )
    assert statuses(plane, 2) == [200, 429]


def test_s8_many_wrong_tokens_of_an_address_are_told_to_wait_and_right_ones_pass(plane: Plane) -> None:
    plane.acme.publish()
    plane.start_edge()
    wrong = plane.acme.token("predictions.create")  # was never published
    most = KNOWN["wrong-token"].limit
    assert Counter(statuses(plane, most + 5, token=wrong)) == {401: most, 429: 5}
    assert call(plane, token=wrong).json["code"] == "rate_limited"
    assert call(plane).status == 200
    assert wait_until(lambda: seen.limited_now(plane.valkey.client, INSTALLATION), "who is limited")


class SilentReplica:
    """Takes calls and never answers."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.id = "00000000-0000-7000-8000-000000000001"
        self.server = SimpleNamespace(address=f"127.0.0.1:{self._socket.getsockname()[1]}")

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def silent() -> Iterator[SilentReplica]:
    replica = SilentReplica()
    yield replica
    replica.close()


def at_once(**columns: Any) -> dict[str, Any]:
    return policy("At once", quantity="concurrency", algorithm="leases", limit=1, **columns)


def hang(plane: Plane) -> threading.Thread:
    """A call that its replica never answers, once it has begun."""

    def infer() -> None:
        try:
            plane.infer()
        except OSError:
            return

    thread = threading.Thread(target=infer)
    thread.start()
    wait_until(lambda: plane.valkey.client.keys(f"limits:{{{plane.acme.id}}}:at-once:*"), "the call's place")
    return thread


def test_a_place_comes_free_with_the_answer(plane: Plane) -> None:
    limit(plane, at_once())
    plane.start_edge()
    assert statuses(plane, 5) == [200] * 5


def test_the_place_of_an_edge_that_was_killed_comes_free(plane: Plane, silent: SilentReplica) -> None:
    plane.acme.deploy(silent)  # type: ignore[arg-type]
    limit(plane, at_once(window_ms=3000))
    other, killed = plane.start_edge(), plane.start_edge()
    thread = hang(plane)
    refused = call(plane, other)
    assert (refused.status, refused.json["code"]) == (429, "concurrency_limited")
    assert 0 < int(refused.headers["retry-after-ms"]) <= 3000
    killed.kill()
    thread.join()
    wait_until(lambda: call(plane, other).status == 200, "the place free again")


def test_a_call_holds_its_place_for_as_long_as_it_lasts(plane: Plane, silent: SilentReplica) -> None:
    """Also when that is longer than a place is held of which nobody hears any more."""
    plane.acme.deploy(silent)  # type: ignore[arg-type]
    limit(plane, at_once(window_ms=1000))
    other, serving = plane.start_edge(), plane.start_edge()
    thread = hang(plane)
    ends = time.monotonic() + 3
    while time.monotonic() < ends:
        assert call(plane, other).status == 429
        time.sleep(0.1)
    serving.kill()
    thread.join()
    wait_until(lambda: call(plane, other).status == 200, "the place free again")
