from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.deployments.balancing import EJECTION_S, ERRORS_TO_EJECT, MAX_EJECTION_S, Health, choose


@dataclass(eq=False)
class Server:
    latency_s: float = 0.01
    health: Health = field(default_factory=Health)


def simulate(servers: list[Server], calls: int, interval_s: float) -> Counter[int]:
    """Calls arrive evenly and each takes its server's latency; how many each server got."""
    random.seed(7)
    got: Counter[int] = Counter()
    running: list[tuple[float, Server]] = []
    for number in range(calls):
        now = number * interval_s
        for ends, server in [item for item in running if item[0] <= now]:
            server.health.in_flight -= 1
            server.health.succeed(server.latency_s, ends)
            running.remove((ends, server))
        chosen = choose(servers, now)
        assert chosen is not None
        chosen.health.in_flight += 1
        running.append((now + chosen.latency_s, chosen))
        got[servers.index(chosen)] += 1
    return got


def test_equal_replicas_get_equal_shares() -> None:
    got = simulate([Server() for _ in range(4)], calls=4000, interval_s=0.001)
    assert min(got.values()) > 900


def test_a_slow_replica_gets_fewer_calls() -> None:
    got = simulate([Server(0.01), Server(0.01), Server(0.2)], calls=3000, interval_s=0.002)
    assert got[2] < 300


def test_an_unreachable_replica_is_left_out_and_tried_again() -> None:
    broken, sound = Server(), Server()
    broken.health.fail(100.0, is_unreachable=True)
    assert {choose([broken, sound], 100.0) for _ in range(20)} == {sound}
    assert {choose([broken, sound], 100.0 + EJECTION_S) for _ in range(50)} == {broken, sound}


def test_one_error_does_not_eject_but_several_in_a_row_do() -> None:
    health = Health()
    for _ in range(ERRORS_TO_EJECT - 1):
        health.fail(1.0, is_unreachable=False)
    assert health.is_available(1.0)
    health.fail(1.0, is_unreachable=False)
    assert not health.is_available(1.0)


def test_calls_that_fail_together_are_one_fault() -> None:
    health = Health()
    for _ in range(16):
        health.fail(5.0, is_unreachable=True)
    assert health.ejected_until == pytest.approx(5.0 + EJECTION_S)


def test_ejections_grow_to_a_limit_and_end_with_a_success() -> None:
    health, now, lengths = Health(), 0.0, []
    for _ in range(12):
        health.fail(now, is_unreachable=True)
        lengths.append(health.ejected_until - now)
        now = health.ejected_until
    assert lengths == sorted(lengths)
    assert lengths[:2] == [EJECTION_S, 2 * EJECTION_S]
    assert lengths[-1] == pytest.approx(MAX_EJECTION_S)
    health.succeed(0.01, now)
    health.fail(now, is_unreachable=True)
    assert health.ejected_until == pytest.approx(now + EJECTION_S)


def test_when_all_are_ejected_the_first_to_return_is_tried() -> None:
    first, second = Server(), Server()
    first.health.ejected_until, second.health.ejected_until = 20.0, 10.0
    assert choose([first, second], 1.0) is second
    assert choose([first, second], 1.0, tried=[second]) is first
    assert choose([first, second], 1.0, tried=[first, second]) is None


@given(st.lists(st.tuples(st.floats(0, 10), st.integers(0, 50)), min_size=1, max_size=8), st.floats(0, 100))
def test_a_replica_is_always_found_while_one_is_untried(states: list[tuple[float, int]], now: float) -> None:
    servers = [Server(health=Health(in_flight=count, ejected_until=until)) for until, count in states]
    tried: list[Server] = []
    for _ in servers:
        chosen = choose(servers, now, tried)
        assert chosen is not None
        assert chosen not in tried
        tried.append(chosen)
    assert choose(servers, now, tried) is None


@given(st.lists(st.floats(0.0001, 5.0), min_size=1, max_size=20))
def test_the_average_is_never_below_the_last_latency(latencies: list[float]) -> None:
    health = Health()
    for number, latency_s in enumerate(latencies):
        health.succeed(latency_s, float(number))
        assert latency_s <= health.latency_s <= max(latencies) + 1e-9
