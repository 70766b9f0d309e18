from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from apps.gateway import routing
from apps.gateway.configuration import Gateway, Target, compiled
from apps.gateway.enums import Strategy
from apps.gateway.retries import LEAST_RETRIES, Budget, wait_s
from apps.gateway.routing import Asking, Standing
from tests.edge.plane import Tenant
from tests.gateway.plane import add_route, add_upstream, section, target

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC).timestamp()  # a Tuesday


def asking(**given: Any) -> Asking:
    told = {"headers": {}, "input_tokens": 100, "is_stream": False, "at": NOON, "caller": "somebody", **given}
    return Asking(**told)


def gateway(*targets: dict[str, Any]) -> Gateway:
    tenant = Tenant(None)  # type: ignore[arg-type]
    for one in targets:
        one["upstream"] = add_upstream(tenant, "https://api.example.com/v1", secrets=())
    add_route(tenant, "chat", *targets)
    return compiled(tenant.id, section(tenant))


class Standings(dict[str, Standing]):
    def __call__(self, one: Target) -> Standing:
        return self.setdefault(one.id, Standing())


def chosen(strategy: Strategy, *told: dict[str, Any], standings: Standings | None = None, **given: Any) -> Target:
    targets = gateway(*told).routes["chat"].targets
    costs = {one.id: one.prices[0]["input"] if one.prices else None for one in targets}
    found = routing.choose(
        strategy, targets, standings or Standings(), asking(**given), lambda one: costs[one.id], 10.0
    )
    assert found is not None
    return found


def test_weights_share_the_calls() -> None:
    random.seed(7)
    targets = [target(weight=90), target(weight=10), target(weight=0)]
    counts = Counter(chosen(Strategy.WEIGHTED, *targets).id for _ in range(2_000))
    assert counts[targets[0]["id"]] / 2_000 == pytest.approx(0.9, abs=0.03)
    assert counts[targets[2]["id"]] == 0


def test_the_cheapest_has_a_price() -> None:
    cheap, dear = target(prices=[{"from": 0, "input": 1}]), target(prices=[{"from": 0, "input": 2}])
    assert chosen(Strategy.CHEAPEST, target(prices=[]), dear, cheap).id == cheap["id"]


def test_the_fastest_is_the_one_that_answers_sooner() -> None:
    slow, quick = target(), target()
    standings = Standings()
    standings[slow["id"]] = Standing()
    standings[slow["id"]].health.succeed(2.0, 9.9)
    standings[quick["id"]] = Standing()
    standings[quick["id"]].health.succeed(0.1, 9.9)
    assert {chosen(Strategy.FASTEST, slow, quick, standings=standings).id for _ in range(20)} == {quick["id"]}


def test_the_least_busy_has_the_fewest_calls() -> None:
    busy, idle = target(), target()
    standings = Standings()
    standings[busy["id"]] = Standing()
    standings[busy["id"]].health.in_flight = 3
    assert chosen(Strategy.LEAST_BUSY, busy, idle, standings=standings).id == idle["id"]


def test_a_caller_sticks_and_moves_only_when_its_target_goes() -> None:
    targets = [target() for _ in range(5)]
    callers = [f"caller-{number}" for number in range(300)]
    before = {caller: chosen(Strategy.STICKY, *targets, caller=caller).id for caller in callers}
    assert before == {caller: chosen(Strategy.STICKY, *targets, caller=caller).id for caller in callers}
    gone = targets[2]["id"]
    after = {caller: chosen(Strategy.STICKY, *targets[:2], *targets[3:], caller=caller).id for caller in callers}
    assert {caller for caller in callers if before[caller] != after[caller]} == {
        caller for caller in callers if before[caller] == gone
    }
    assert min(Counter(before.values()).values()) > 30


def test_an_open_breaker_and_a_full_upstream_are_not_available() -> None:
    upstream = gateway(target()).routes["chat"].targets[0].upstream
    assert upstream is not None
    broken, full = Standing(upstream), Standing(replace(upstream, most_at_once=1))
    assert broken.is_available(10.0)
    for _ in range(5):
        broken.breaker.fail(9.9)
    assert not broken.is_available(10.0)
    assert broken.opens_in(10.0) == pytest.approx(broken.breaker.open_until - 10.0, abs=1)
    assert full.is_available(10.0)
    full.health.in_flight = 1
    assert not full.is_available(10.0)


@pytest.mark.parametrize(
    ("when", "given", "is_met"),
    [
        ({}, {}, True),
        ({"headers": {"X-Tier": "gold"}}, {"headers": {b"x-tier": b"gold"}}, True),
        ({"headers": {"X-Tier": "gold"}}, {"headers": {b"x-tier": b"lead"}}, False),
        ({"headers": {"X-Tier": "gold"}}, {}, False),
        ({"min_tokens": 100}, {}, True),
        ({"min_tokens": 101}, {}, False),
        ({"max_tokens": 99}, {}, False),
        ({"is_stream": True}, {}, False),
        ({"is_stream": True}, {"is_stream": True}, True),
        ({"hours": ["09:00", "17:00"]}, {}, True),
        ({"hours": ["13:00", "17:00"]}, {}, False),
        ({"hours": ["13:00", "17:00"], "time_zone": "Europe/Berlin"}, {}, True),
        ({"hours": ["22:00", "06:00"]}, {}, False),
        ({"hours": ["22:00", "13:00"]}, {}, True),
        ({"days": [1]}, {}, True),
        ({"days": [5, 6]}, {}, False),
    ],
)
def test_a_target_takes_the_calls_that_meet_its_conditions(
    when: dict[str, Any], given: dict[str, Any], is_met: bool
) -> None:
    route = gateway(target(when=when)).routes["chat"]
    assert bool(routing.fitting(route, asking(**given))) is is_met


def test_a_wait_is_jittered_and_never_shorter_than_asked_for() -> None:
    assert all(0 <= wait_s(3, None) <= 0.8 for _ in range(100))
    assert len({wait_s(3, None) for _ in range(100)}) > 50
    assert wait_s(0, 7.5) == 7.5


def test_retries_are_a_tenth_of_the_calls_and_a_few_more() -> None:
    budget, now, retried = Budget(), 100.0, 0
    for _ in range(10_000):
        budget.earn(now)
        retried += budget.spend(now)
    assert 1_000 <= retried <= 1_000 + LEAST_RETRIES + 1


def test_a_budget_that_is_spent_fills_again() -> None:
    budget = Budget()
    budget.earn(100.0)
    while budget.spend(100.0):
        pass
    assert not budget.spend(100.1)
    assert budget.spend(110.0)
