"""The clients with a Valkey of their own, through several processes, and while it is away."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from typing import Any

import pytest
import pytest_asyncio

from apps.ratelimits import engine
from apps.ratelimits.deciding import key_of
from apps.ratelimits.engine import AsyncLimiter, Limiter
from apps.ratelimits.local import Local
from apps.ratelimits.rules import Algorithm, Away, Rule
from tests.edge.plane import PATIENCE_S, PrivateValkey, wait_until
from tests.ratelimits.rules import rule

LONG_MS = 600_000
PROCESSES, CALLS = 4, 25


@pytest.fixture
def limiter(valkey: PrivateValkey) -> Limiter:
    return Limiter.from_url(valkey.url)


@pytest_asyncio.fixture
async def async_limiter(valkey: PrivateValkey) -> AsyncIterator[AsyncLimiter]:
    limiter = AsyncLimiter.from_url(valkey.url)
    yield limiter
    await limiter.aclose()


class Caller:
    def __init__(self, valkey: PrivateValkey, rules: list[Rule]) -> None:
        arguments = [valkey.url, json.dumps([asdict(rule) for rule in rules]), str(CALLS)]
        command = [sys.executable, "-m", "tests.ratelimits.calling", *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def wait_until_ready(self) -> None:
        assert self.process.stdout.readline() == "ready\n"

    def begin(self) -> None:
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def passed(self) -> int:
        return int(self.process.stdout.readline())

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=PATIENCE_S)


def passed_of_all(valkey: PrivateValkey, rules: list[Rule]) -> int:
    """How many of 100 calls passed that began at once in four processes, which are then killed."""
    callers = [Caller(valkey, rules) for _ in range(PROCESSES)]
    try:
        for caller in callers:
            caller.wait_until_ready()
        for caller in callers:
            caller.begin()
        return sum(caller.passed() for caller in callers)
    finally:
        for caller in callers:
            caller.kill()


@pytest.mark.parametrize("algorithm", [Algorithm.GCRA, Algorithm.WINDOW])
@pytest.mark.parametrize("cost", [1, 700])
def test_of_100_parallel_calls_exactly_10_pass(valkey: PrivateValkey, algorithm: Algorithm, cost: int) -> None:
    """Requests, and tokens of which a call takes 700."""
    amount = 10 * cost
    call = rule(algorithm, limit=amount, burst=amount, window_ms=LONG_MS * amount, cost=cost)
    assert passed_of_all(valkey, [replace(call, window_ms=31 * 24 * 3_600_000)]) == 10


def test_the_places_of_callers_that_were_killed_come_free_when_their_time_ends(valkey: PrivateValkey) -> None:
    call = rule(Algorithm.LEASES, limit=10, window_ms=4_000)
    assert passed_of_all(valkey, [call]) == 10
    limiter = Limiter.from_url(valkey.url)
    [verdict] = limiter.peek([call])
    assert not verdict.is_allowed
    assert 0 < verdict.retry_after_ms <= 4_000
    wait_until(lambda: limiter.peek([call])[0].remaining == 10, "ten free places")


def test_a_long_call_keeps_its_place_while_it_is_extended(limiter: Limiter) -> None:
    call = rule(Algorithm.LEASES, limit=1, window_ms=1_000)
    held = limiter.decide([call])
    ends = time.monotonic() + 2.0
    while time.monotonic() < ends:
        assert limiter.extend(held)
        assert not limiter.decide([call]).is_allowed
        time.sleep(0.2)
    limiter.release(held)
    assert not limiter.extend(held)
    assert limiter.decide([call]).is_allowed


def test_what_was_expected_is_settled_by_what_was_used(limiter: Limiter) -> None:
    tokens = rule(Algorithm.WINDOW, key="limits:{acme}:tokens", limit=1_000, window_ms=LONG_MS, cost=600)
    calls = rule(Algorithm.WINDOW, key="limits:{acme}:calls", limit=10, window_ms=LONG_MS)
    first = limiter.decide([tokens, calls])
    limiter.settle(first, {0: 100})
    assert [verdict.remaining for verdict in limiter.peek([tokens, calls])] == [900, 9]
    second = limiter.decide([tokens, calls])
    limiter.settle(second, {0: 1_500})
    assert [verdict.remaining for verdict in limiter.peek([tokens, calls])] == [0, 8]
    assert not limiter.decide([replace(tokens, cost=1)]).is_allowed


def test_a_call_that_was_not_made_gives_back_all_it_took(limiter: Limiter) -> None:
    rules = [rule(form, key=f"limits:{{acme}}:{form}", limit=10, window_ms=LONG_MS) for form in Algorithm]
    limiter.release(limiter.decide(rules))
    assert [verdict.remaining for verdict in limiter.peek(rules)] == [9, 9, 10]
    limiter.forget(rules)
    limiter.release(limiter.decide(rules), was_made=False)
    assert [verdict.remaining for verdict in limiter.peek(rules)][1:] == [10, 10]
    assert limiter.peek(rules)[0].reset_after_ms <= 1


def test_a_raised_limit_counts_at_once(limiter: Limiter) -> None:
    for algorithm in Algorithm:
        call = rule(algorithm, limit=1, burst=1, window_ms=LONG_MS)
        assert limiter.decide([call]).is_allowed
        assert not limiter.decide([call]).is_allowed
        assert limiter.decide([replace(call, limit=2, burst=2)]).is_allowed


async def test_what_is_asked_meanwhile_shares_a_round_trip(async_limiter: AsyncLimiter, valkey: PrivateValkey) -> None:
    calls = [rule(key=f"limits:{{{number % 7}}}:p", limit=20, burst=20, window_ms=LONG_MS) for number in range(210)]
    await async_limiter.decide([rule(key="limits:{first}:p")])
    before = valkey.client.info("stats")["total_reads_processed"]
    decisions = await asyncio.gather(*(async_limiter.decide([call]) for call in calls))
    assert sum(decision.is_allowed for decision in decisions) == 7 * 20
    assert valkey.client.info("stats")["total_reads_processed"] - before < 20


async def test_what_a_cancelled_caller_took_is_given_back(async_limiter: AsyncLimiter, limiter: Limiter) -> None:
    call = rule(Algorithm.LEASES, limit=3, window_ms=LONG_MS)
    await async_limiter.peek([call])
    callers = [asyncio.create_task(async_limiter.decide([call])) for _ in range(3)]
    await asyncio.sleep(0)
    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    assert await eventually(lambda: limiter.peek([call])[0].remaining == 3 and not async_limiter.is_busy)


async def eventually(is_true: Any) -> bool:
    ends = time.monotonic() + PATIENCE_S
    while not is_true():
        if time.monotonic() > ends:
            return False
        await asyncio.sleep(0.01)
    return True


def rules_by_away() -> dict[Away, Rule]:
    return {away: rule(key=f"limits:{{acme}}:{away}", limit=6, burst=6, window_ms=LONG_MS, away=away) for away in Away}


def test_while_redis_is_away_each_rule_does_what_it_says_and_then_redis_counts(
    limiter: Limiter, valkey: PrivateValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "ASK_AGAIN_S", 0.05)
    limiter.local.processes = 3
    rules = rules_by_away()
    assert limiter.decide([rules[Away.LOCAL]]).verdicts[0].remaining == 5
    valkey.kill()
    local = [limiter.decide([rules[Away.LOCAL]]) for _ in range(4)]
    assert [decision.is_allowed for decision in local] == [True, True, False, False]
    assert all(decision.is_local for decision in local)
    assert all(limiter.decide([rules[Away.OPEN]]).is_allowed for _ in range(20))
    closed = limiter.decide([rules[Away.CLOSED], rules[Away.LOCAL]])
    assert 0 in closed.refusals
    assert closed.verdicts[0].retry_after_ms == 1_000
    assert limiter.peek([rules[Away.OPEN]])[0].is_allowed
    limiter.settle(local[0], {0: 0})
    assert limiter.extend(local[0])
    valkey.start()
    wait_until(lambda: not limiter.decide([rules[Away.OPEN]]).is_local, "Redis asked again")
    assert limiter.peek([rules[Away.LOCAL]])[0].remaining == 5


async def test_the_loop_decides_alone_while_redis_is_away_and_is_not_held_up(
    async_limiter: AsyncLimiter, valkey: PrivateValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "ASK_AGAIN_S", 0.05)
    call = rule(limit=6, burst=6, window_ms=LONG_MS)
    held = await async_limiter.decide([call])
    valkey.kill()
    decisions = await asyncio.gather(*(async_limiter.decide([call]) for _ in range(50)))
    assert sum(decision.is_allowed for decision in decisions) == 6
    await async_limiter.settle(held, {0: 0})
    assert await async_limiter.extend(held)
    assert [verdict.remaining for verdict in await async_limiter.peek([call])] == [0]
    valkey.start()
    ends = time.monotonic() + PATIENCE_S
    while (await async_limiter.decide([replace(call, key="limits:{acme}:q")])).is_local:
        assert time.monotonic() < ends
        await asyncio.sleep(0.02)
    assert (await async_limiter.peek([call]))[0].remaining == 5


async def test_a_redis_that_hangs_delays_a_call_by_the_time_out_once_a_second(
    async_limiter: AsyncLimiter, valkey: PrivateValkey
) -> None:
    call = rule(limit=10_000, burst=10_000)
    await async_limiter.decide([call])
    valkey.stop()
    try:
        began = time.monotonic()
        decisions = await asyncio.gather(*(async_limiter.decide([call]) for _ in range(20)))
        decisions += [await async_limiter.decide([call]) for _ in range(200)]
        assert time.monotonic() - began < 0.9
        assert all(decision.is_local and decision.is_allowed for decision in decisions)
    finally:
        valkey.go_on()


def test_no_place_stays_taken_because_redis_hung_when_its_call_began_or_ended(
    limiter: Limiter, valkey: PrivateValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "ASK_AGAIN_S", 0.05)
    call, other = rule(Algorithm.LEASES, limit=5, window_ms=LONG_MS), rule(key="limits:{acme}:q", limit=1_000)
    held = [limiter.decide([call]) for _ in range(3)]
    valkey.stop()
    held.append(limiter.decide([call]))
    assert held[-1].is_local
    for decision in held:
        limiter.release(decision)
    valkey.go_on()
    wait_until(lambda: not limiter.decide([other]).is_local, "Redis asked again")
    assert limiter.peek([call])[0].remaining == 5


def test_while_redis_is_full_calls_are_decided_alone_and_their_places_come_free(
    limiter: Limiter, valkey: PrivateValkey
) -> None:
    call = rule(Algorithm.LEASES, limit=5, window_ms=LONG_MS)
    held = limiter.decide([call])
    valkey.client.config_set("maxmemory", 1)
    limiter.release(held)
    assert limiter.decide([rule(key="limits:{acme}:q")]).is_local
    valkey.client.config_set("maxmemory", 0)
    assert limiter.peek([call])[0].remaining == 5


async def test_no_place_stays_taken_in_a_loop_because_redis_hung(
    async_limiter: AsyncLimiter, limiter: Limiter, valkey: PrivateValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "ASK_AGAIN_S", 0.05)
    call, other = rule(Algorithm.LEASES, limit=900, window_ms=LONG_MS), rule(key="limits:{acme}:q", limit=1_000)
    held = await asyncio.gather(*(async_limiter.decide([call]) for _ in range(400)))
    valkey.stop()
    held += await asyncio.gather(*(async_limiter.decide([call]) for _ in range(300)))
    await asyncio.gather(*(async_limiter.release(decision) for decision in held))
    valkey.go_on()
    ends = time.monotonic() + PATIENCE_S
    while limiter.peek([call])[0].remaining < 900:
        assert time.monotonic() < ends
        await async_limiter.decide([other])
        await asyncio.sleep(0.01)


def test_the_memory_of_the_local_limiter_is_bounded() -> None:
    local = Local()
    for number in range(12_000):
        local.decide([rule(key=f"limits:{{acme}}:{number}")], "id")
    assert local.key_count == 10_000


@pytest.mark.parametrize(("algorithm", "most_bytes"), [(Algorithm.GCRA, 128), (Algorithm.WINDOW, 1_300)])
def test_the_memory_of_a_key_is_bounded_whatever_its_traffic(
    valkey: PrivateValkey, algorithm: Algorithm, most_bytes: int
) -> None:
    """Dense calls of large quantities, so that there are as many cells as there can be, with the longest numbers."""
    now_ms = [1_800_000_000_000]
    limiter = Limiter(valkey.client, clock=lambda: now_ms[0])
    call = rule(algorithm, limit=10**12, burst=10**12, window_ms=60_000, cost=10**9)
    for _ in range(1_000):
        now_ms[0] += 101
        assert limiter.decide([call]).is_allowed
        assert valkey.client.memory_usage(key_of(call)) <= most_bytes
    if algorithm is Algorithm.WINDOW:
        assert valkey.client.memory_usage(key_of(call)) > most_bytes / 2


@pytest.mark.slow
def test_a_million_calls_leave_a_key_as_small_as_a_few(valkey: PrivateValkey) -> None:
    limiter = Limiter(valkey.client)
    level = rule(key="limits:{acme}:p", limit=2_000_000, burst=2_000_000, window_ms=LONG_MS)
    cells = rule(Algorithm.WINDOW, key="limits:{acme}:q", limit=10**12, window_ms=5_000)
    for _ in range(100):
        assert all(decision.is_allowed for decision in limiter.decide_each([[level, cells]] * 10_000))
    assert valkey.client.memory_usage(key_of(level)) <= 128
    assert valkey.client.memory_usage(key_of(cells)) <= 1_300


def test_leases_take_memory_for_their_limit_and_no_more(valkey: PrivateValkey) -> None:
    limiter = Limiter.from_url(valkey.url)
    call = rule(Algorithm.LEASES, limit=1_000, window_ms=LONG_MS)
    decisions = limiter.decide_each([[call]] * 1_500)
    assert sum(decision.is_allowed for decision in decisions) == 1_000
    assert valkey.client.memory_usage(key_of(call), samples=0) <= 1_000 * 130


def test_a_key_that_is_forgotten_begins_anew(limiter: Limiter) -> None:
    rules = [rule(form, key=f"limits:{{acme}}:{form}", limit=1, burst=1, window_ms=LONG_MS) for form in Algorithm]
    assert limiter.decide(rules).is_allowed
    assert not limiter.decide(rules).is_allowed
    limiter.forget(rules)
    assert limiter.decide(rules).is_allowed


def test_a_command_that_redis_refuses_is_no_redis_that_is_away(limiter: Limiter, valkey: PrivateValkey) -> None:
    limiter.forget([])
    valkey.client.config_set("maxmemory", 1)
    assert limiter.mark("limits:{acme}:mark", 60_000)
    valkey.client.config_set("maxmemory", 0)
    assert not limiter.decide([rule()]).is_local
    assert [limiter.mark("limits:{acme}:mark", 60_000) for _ in range(2)] == [True, False]


def test_a_mark_does_not_wait_for_redis_once_it_is_known_to_be_away(limiter: Limiter, valkey: PrivateValkey) -> None:
    valkey.stop()
    assert limiter.decide([rule()]).is_local
    began = time.monotonic()
    assert limiter.mark("limits:{acme}:mark", 60_000)
    limiter.forget([rule()])
    assert time.monotonic() - began < engine.TIMEOUT_S
    valkey.go_on()
