"""The script in a real Valkey beside the pure form: the same verdicts, the same state, whatever happens."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from apps.ratelimits import deciding
from apps.ratelimits.engine import Limiter
from apps.ratelimits.leases import Lease
from apps.ratelimits.rules import Algorithm, Decision, Rule
from tests.ratelimits.rules import LONGEST_WINDOW_MS, MOST, NOW_MS, costs, limits, rule, steps, windows

KEYS = [f"limits:{{acme}}:{name}" for name in "abc"]
drawn_rules = st.builds(
    rule,
    st.sampled_from(Algorithm),
    limit=limits,
    window_ms=windows,
    burst=limits,
    cost=costs,
    is_shadow=st.booleans(),
)
actions = st.one_of(
    st.tuples(st.just("decide"), steps, st.lists(drawn_rules, min_size=1, max_size=3)),
    st.tuples(st.just("peek"), steps, st.lists(drawn_rules, min_size=1, max_size=3)),
    st.tuples(st.just("settle"), steps, st.tuples(st.integers(0, 5), st.dictionaries(st.integers(0, 2), costs))),
    st.tuples(st.just("release"), steps, st.tuples(st.integers(0, 5), st.booleans())),
    st.tuples(st.just("extend"), steps, st.tuples(st.integers(0, 5), st.none())),
)


@pytest.fixture
def client() -> Iterator[Redis]:
    client = Redis.from_url(os.environ["REDIS_URL"])
    client.flushdb()
    yield client
    client.flushdb()
    client.close()


class Both:
    """One limiter in Valkey and one in Python, by the same clock."""

    def __init__(self, client: Redis) -> None:
        client.delete(*(f"{key}:{algorithm}" for key in KEYS for algorithm in Algorithm))
        self.now_ms = NOW_MS
        self.client, self.states = client, {}
        self.limiter = Limiter(client, clock=lambda: self.now_ms)
        self.decisions: list[Decision] = []

    def act(self, action: str, given: Any) -> None:
        if action in {"decide", "peek"}:
            getattr(self, action)([replace(drawn, key=key) for drawn, key in zip(given, KEYS, strict=False)])
        elif self.decisions:
            getattr(self, action)(self.decisions[-1 - given[0] % len(self.decisions)], given[1])
        assert self.stored() == self.expected()

    def decide(self, rules: list[Rule]) -> None:
        decision = self.limiter.decide(rules)
        assert not decision.is_local
        assert decision == deciding.decide(self.states, rules, self.now_ms, decision.id)
        self.decisions.append(decision)

    def peek(self, rules: list[Rule]) -> None:
        assert self.limiter.peek(rules) == deciding.peek(self.states, rules, self.now_ms)

    def settle(self, decision: Decision, actual: dict[int, int]) -> None:
        self.limiter.settle(decision, actual)
        deciding.settle(self.states, decision, actual, self.now_ms)

    def release(self, decision: Decision, was_made: bool) -> None:
        self.limiter.release(decision, was_made=was_made)
        deciding.settle(self.states, decision, {} if was_made else dict.fromkeys(range(3), 0), self.now_ms)

    def extend(self, decision: Decision, _: None) -> None:
        assert self.limiter.extend(decision) == deciding.extend(self.states, decision, self.now_ms)

    def stored(self) -> dict[str, Any]:
        found = {}
        for key in self.client.keys("limits:{acme}:*"):
            if key.endswith(b"leases"):
                found[key.decode()] = [
                    Lease(int(end), id.decode()) for id, end in self.client.zrange(key, 0, -1, withscores=True)
                ]
            else:
                found[key.decode()] = msgpack.unpackb(self.client.get(key))
        return found

    def expected(self) -> dict[str, Any]:
        found = {}
        for key, state in self.states.items():
            if key.endswith("gcra"):
                found[key] = list(state) if state.parts else None
            elif key.endswith("window"):
                found[key] = [number for cell in state for number in cell]
            else:
                found[key] = list(state)
        return {key: state for key, state in found.items() if state}


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(actions, max_size=25))
def test_valkey_and_python_say_the_same_whatever_is_asked_settled_and_changed(client: Redis, calls: list[Any]) -> None:
    both = Both(client)
    for action, step, given_ in calls:
        both.now_ms += step
        both.act(action, given_)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3)), min_size=100, max_size=200), st.integers(1_000, 1_300)
)
def test_valkey_and_python_make_the_same_cells_coarser(
    client: Redis, calls: list[tuple[int, int]], length: int
) -> None:
    both = Both(client)
    for pause, cost in calls:
        both.now_ms += pause
        both.act("decide", [rule(Algorithm.WINDOW, limit=100, window_ms=length, cost=cost)])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(MOST - 2, MOST),
    st.integers(LONGEST_WINDOW_MS - 2, LONGEST_WINDOW_MS),
    st.lists(st.tuples(st.integers(0, 10**10), st.integers(MOST // 3, MOST)), max_size=12),
)
def test_valkey_is_exact_where_products_pass_its_numbers(
    client: Redis, limit: int, length: int, calls: list[tuple[int, int]]
) -> None:
    both = Both(client)
    for pause, cost in calls:
        both.now_ms += pause
        both.act("decide", [rule(limit=limit, window_ms=length, burst=limit, cost=cost)])


def test_nothing_is_taken_from_any_rule_when_one_refuses(client: Redis) -> None:
    limiter = Limiter(client)
    rules = [rule(form, key=f"{KEYS[0]}:{form}", limit=3, window_ms=60_000) for form in Algorithm]
    refusing = rule(key=KEYS[1], limit=1, burst=1, window_ms=60_000)
    assert limiter.decide([refusing]).is_allowed
    refused = limiter.decide([*rules, refusing])
    assert refused.refusals == [3]
    assert [verdict.is_allowed for verdict in refused.verdicts] == [True, True, True, False]
    assert [verdict.remaining for verdict in limiter.peek(rules)] == [10, 3, 3]
    assert client.keys(f"{KEYS[0]}:*") == []


def test_a_shadow_refuses_nothing_and_tells_what_it_would_have_done(client: Redis) -> None:
    limiter = Limiter(client)
    shadow = rule(limit=1, burst=1, window_ms=60_000, is_shadow=True)
    decisions = [limiter.decide([shadow]) for _ in range(3)]
    assert all(decision.is_allowed for decision in decisions)
    assert [decision.verdicts[0].is_allowed for decision in decisions] == [True, False, False]


def test_keys_vanish_when_nothing_is_left_of_their_state(client: Redis) -> None:
    limiter = Limiter(client)
    for algorithm in Algorithm:
        call = rule(algorithm, key=f"{KEYS[0]}:{algorithm}", limit=10, window_ms=2_000, burst=10)
        decision = limiter.decide([call])
        kept_ms = client.pttl(deciding.key_of(call))
        assert 0 < kept_ms <= decision.verdicts[0].reset_after_ms
        limiter.release(decision, was_made=False)
        assert client.pttl(deciding.key_of(call)) <= 1, algorithm  # a millisecond of `gcra` may have leaked meanwhile


def test_a_script_that_redis_forgot_is_sent_again(client: Redis) -> None:
    limiter = Limiter(client)
    assert limiter.decide([rule()]).verdicts[0].remaining == 9
    client.script_flush()
    decisions = limiter.decide_each([[rule()], [rule()]])
    assert [decision.verdicts[0].remaining for decision in decisions] == [8, 7]
    assert not any(decision.is_local for decision in decisions)


def test_a_key_that_is_not_well_concerns_no_other_call(client: Redis) -> None:
    limiter = Limiter(client)
    client.lpush(deciding.key_of(rule(key=KEYS[0])), "not a level")
    spoilt, sound = limiter.decide_each([[rule(key=KEYS[0])], [rule(key=KEYS[1])]])
    assert spoilt.is_local
    assert not sound.is_local
    assert not limiter.decide([rule(key=KEYS[1])]).is_local
