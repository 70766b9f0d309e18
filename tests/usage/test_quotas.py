"""What is reserved is never more than the limit, whoever asks at once, and ends by itself with whoever asked (S7)."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis as AsyncRedis

from apps.core.ids import uuid7
from apps.usage.quotas import AsyncQuotas, Counter, Quotas

LONG_MS = 60_000
CALLER = """
import json, os, sys
import redis
from apps.core.ids import uuid7
from apps.usage.quotas import Counter, Quotas

counter = Counter(sys.argv[1], "predictions", "2026-11", 10)
client = redis.Redis.from_url(os.environ["REDIS_URL"])
quotas = Quotas(client)
client.incr(sys.argv[1] + ":ready")
client.blpop(sys.argv[1] + ":go", 30)
print(json.dumps([quotas.reserve({counter: 1}, uuid7(), 60_000).refused is None for _ in range(20)]))
"""


@pytest.fixture
def client() -> Any:
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        yield client


@pytest.fixture
def quotas(client: Any) -> Quotas:
    return Quotas(client)


def known(quotas: Quotas, limit: int | None = 10, used: int = 0, name: str = "predictions", org: Any = None) -> Counter:
    """A counter of an organization that nobody else counts for."""
    counter = Counter(str(org or uuid7()), name, "2026-11", limit)
    assert quotas.install(counter, used, quotas.settled(counter))
    return counter


def total(quotas: Quotas, counter: Counter) -> int:
    """Used and held, as a reservation of nothing tells."""
    return quotas.reserve({counter: 0}, uuid7(), LONG_MS).totals[counter]


def test_s7_a_hundred_parallel_reservations_against_ten_pass_ten(quotas: Quotas, client: Any) -> None:
    counter = known(quotas, limit=10)
    command = [sys.executable, "-c", CALLER, counter.organization_id]
    callers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(5)]
    deadline = time.monotonic() + 30
    while int(client.get(f"{counter.organization_id}:ready") or 0) < 5:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    client.rpush(f"{counter.organization_id}:go", *range(5))
    passed = [is_passed for caller in callers for is_passed in json.loads(caller.communicate(timeout=30)[0])]
    assert (len(passed), sum(passed)) == (100, 10)
    assert total(quotas, counter) == 10


def test_the_same_id_reserves_once_and_settles_once(quotas: Quotas) -> None:
    counter, use = known(quotas), uuid7()
    for _ in range(3):
        assert quotas.reserve({counter: 10}, use, LONG_MS).refused is None
    assert total(quotas, counter) == 10
    for _ in range(3):
        quotas.settle({counter: 4}, use)
    assert total(quotas, counter) == 4
    quotas.release([counter], use)
    assert total(quotas, counter) == 4


def test_a_refused_call_reserves_nothing_of_any_counter(quotas: Quotas) -> None:
    wide = known(quotas, limit=100)
    narrow = known(quotas, limit=5, name="training_ms", org=wide.organization_id)
    answer = quotas.reserve({wide: 6, narrow: 6}, uuid7(), LONG_MS)
    assert answer.refused == narrow
    assert (total(quotas, wide), total(quotas, narrow)) == (0, 0)


def test_a_reservation_ends_when_its_caller_died(quotas: Quotas) -> None:
    counter = known(quotas)
    quotas.reserve({counter: 10}, uuid7(), 1)
    deadline = time.monotonic() + 5
    while quotas.reserve({counter: 10}, uuid7(), LONG_MS).refused:
        assert time.monotonic() < deadline
    assert total(quotas, counter) == 10


def test_what_is_settled_after_its_reservation_ended_counts_all_the_same(quotas: Quotas) -> None:
    counter, use = known(quotas), uuid7()
    quotas.reserve({counter: 3}, use, 0)
    assert total(quotas, counter) == 0
    quotas.settle({counter: 3}, use)
    assert total(quotas, counter) == 3


def test_a_counter_without_a_limit_refuses_nothing_and_counts(quotas: Quotas) -> None:
    counter = known(quotas, limit=None)
    assert quotas.reserve({counter: 10**15}, uuid7(), LONG_MS).refused is None
    assert total(quotas, counter) == 10**15


def test_a_raised_limit_counts_at_once(quotas: Quotas) -> None:
    counter = known(quotas, limit=1, used=1)
    assert quotas.reserve({counter: 1}, uuid7(), LONG_MS).refused == counter
    raised = Counter(counter.organization_id, counter.name, counter.period, 2)
    assert quotas.reserve({raised: 1}, uuid7(), LONG_MS).refused is None


def test_what_redis_never_knew_is_told_as_unknown(quotas: Quotas) -> None:
    counter = Counter(str(uuid7()), "predictions", "2026-11", 10)
    assert quotas.reserve({counter: 1}, uuid7(), LONG_MS).unknown == counter
    assert quotas.unknown([counter, known(quotas)]) == [counter]


def test_what_is_settled_while_somebody_rebuilds_is_counted_once(quotas: Quotas) -> None:
    counter, before, after = Counter(str(uuid7()), "predictions", "2026-11", 100), uuid7(), uuid7()
    quotas.settle({counter: 3}, before)
    seen = quotas.settled(counter)
    assert seen.lately == {str(before): 3}
    quotas.settle({counter: 4}, after)
    assert quotas.install(counter, 3, seen)
    assert total(quotas, counter) == 7


def test_what_was_looked_at_before_redis_was_flushed_is_not_installed(quotas: Quotas, client: Any) -> None:
    counter = Counter(str(uuid7()), "predictions", "2026-11", 100)
    quotas.settle({counter: 3}, uuid7())
    seen = quotas.settled(counter)
    client.delete(*counter.keys)
    assert not quotas.install(counter, 3, seen)
    assert quotas.unknown([counter]) == [counter]


def test_an_event_loop_settles_and_gives_back_in_one_round_trip(quotas: Quotas) -> None:
    counter, used, unused = known(quotas), uuid7(), uuid7()

    async def call() -> None:
        async with AsyncRedis.from_url(os.environ["REDIS_URL"]) as client:
            asynchronous = AsyncQuotas(client)
            for use in (used, unused):
                assert (await asynchronous.reserve({counter: 5}, use, LONG_MS)).refused is None
            assert (await asynchronous.reserve({counter: 1}, uuid7(), LONG_MS)).refused == counter
            await asynchronous.settle_all([({counter: 2}, used), ({counter: 0}, unused)])

    asyncio.run(call())
    assert total(quotas, counter) == 2


acts = st.lists(
    st.tuples(st.sampled_from(["reserve", "settle", "release"]), st.integers(0, 4), st.integers(0, 6)), max_size=30
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=acts)
def test_whatever_is_done_in_which_order_the_counter_says_what_a_list_would(
    quotas: Quotas, acts: list[tuple[str, int, int]]
) -> None:
    counter = known(quotas, limit=10)
    held: dict[int, int] = {}
    settled: dict[int, int] = {}
    for act, use, amount in acts:
        if act == "reserve":
            fits = sum(held.values()) + sum(settled.values()) + amount <= 10
            is_known = use in held or use in settled
            assert (quotas.reserve({counter: amount}, str(use), LONG_MS).refused is None) == (is_known or fits)
            if fits and not is_known:
                held[use] = amount
        elif act == "settle":
            quotas.settle({counter: amount}, str(use))
            if use not in settled:
                held.pop(use, None)
                settled[use] = amount
        else:
            quotas.release([counter], str(use))
            held.pop(use, None)
        assert total(quotas, counter) == sum(held.values()) + sum(settled.values())


def test_nobody_is_refused_because_of_reservations_that_ended_however_many(quotas: Quotas) -> None:
    counter = known(quotas, limit=350)
    for _ in range(350):
        assert quotas.reserve({counter: 1}, uuid7(), 3000).refused is None
    assert quotas.reserve({counter: 1}, uuid7(), LONG_MS).refused == counter
    time.sleep(3.1)
    assert quotas.reserve({counter: 350}, uuid7(), LONG_MS).refused is None
    assert total(quotas, counter) == 350
