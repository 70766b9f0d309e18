"""However many values a subject takes, the memory of their states is bounded, and who has a state keeps it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from apps.ratelimits.engine import Limiter
from apps.ratelimits.guards.known import INSTALLATION, UNCHANGED, Watched
from apps.ratelimits.matching import MOST_SUBJECTS, Asked, rules_for
from apps.ratelimits.rules import Algorithm, Decision, Rule
from tests.edge.plane import PrivateValkey
from tests.ratelimits.published import policy, section
from tests.ratelimits.rules import rule

MOST = 20
STEM = "limits:{acme}:p:r"


def of(subject: str, algorithm: Algorithm = Algorithm.GCRA, **changes: Any) -> Rule:
    columns = {"window_ms": 60_000, "limit": 2, "burst": 2, "stem": len(STEM), "most_subjects": MOST, **changes}
    return rule(algorithm, key=f"{STEM}:={subject}", **columns)


@pytest.fixture
def limiter(valkey: PrivateValkey) -> Limiter:
    return Limiter(valkey.client)


def states(valkey: PrivateValkey) -> set[str]:
    return {key.decode() for key in valkey.client.keys(f"{STEM}:*")} - {f"{STEM}:subjects"}


def call(limiter: Limiter, *names: str, **changes: Any) -> list[Decision]:
    return limiter.decide_each([[of(name, **changes)] for name in names])


def strangers(count: int = 2000) -> list[str]:
    return [f"stranger-{number}" for number in range(count)]


@pytest.mark.parametrize("algorithm", Algorithm)
def test_those_beyond_the_bound_share_a_few_states_and_pass_no_more_than_these(
    limiter: Limiter, valkey: PrivateValkey, algorithm: Algorithm
) -> None:
    passed = sum(decision.is_allowed for decision in call(limiter, *strangers(), algorithm=algorithm))
    own = {key for key in states(valkey) if ":=" in key}
    assert len(own) == MOST
    assert MOST < len(states(valkey)) <= MOST + 256
    assert passed <= MOST + 2 * (len(states(valkey)) - MOST)
    assert valkey.client.zcard(f"{STEM}:subjects") == MOST


def test_who_has_a_state_is_not_touched_by_who_has_none(limiter: Limiter) -> None:
    assert call(limiter, "ada")[0].is_allowed
    call(limiter, *strangers())
    assert [decision.is_allowed for decision in call(limiter, "ada", "ada")] == [True, False]


def test_a_place_among_the_states_comes_free_with_the_state(limiter: Limiter, valkey: PrivateValkey) -> None:
    call(limiter, *strangers(MOST), window_ms=1000, limit=1, burst=1)
    assert len(states(valkey)) == MOST
    time.sleep(1.1)
    call(limiter, "late")
    assert states(valkey) == {f"{STEM}:=late:gcra"}


def test_a_state_that_was_used_again_is_still_counted_when_its_first_time_is_over(
    limiter: Limiter, valkey: PrivateValkey
) -> None:
    short = {"window_ms": 1000, "limit": 1, "burst": 5}
    for _ in range(2):
        call(limiter, *strangers(MOST), **short)
    time.sleep(1.2)
    call(limiter, "late", **short)
    assert f"{STEM}:=late:gcra" not in states(valkey)
    time.sleep(1.2)
    call(limiter, "late", **short)
    assert f"{STEM}:=late:gcra" in states(valkey)


def test_what_was_taken_from_a_shared_state_is_given_back_there(limiter: Limiter, valkey: PrivateValkey) -> None:
    call(limiter, *strangers(MOST))
    [decision] = call(limiter, "late", limit=1, burst=1)
    assert decision.is_allowed
    assert decision.rules[0].key.startswith(f"{STEM}:~")
    assert not call(limiter, "late", limit=1, burst=1)[0].is_allowed
    limiter.release(decision, was_made=False)
    time.sleep(0.01)  # what is given back is rounded by a millisecond
    assert call(limiter, "late", limit=1, burst=1)[0].is_allowed


def test_a_place_of_a_shared_state_is_extended_and_comes_free(limiter: Limiter, valkey: PrivateValkey) -> None:
    leases = {"algorithm": Algorithm.LEASES, "limit": 1}
    call(limiter, *strangers(MOST), **leases)
    [decision] = call(limiter, "late", **leases)
    assert limiter.extend(decision)
    assert not call(limiter, "late", **leases)[0].is_allowed
    limiter.release(decision)
    assert call(limiter, "late", **leases)[0].is_allowed


def test_more_used_than_expected_after_the_own_state_is_gone_counts_within_the_bound(
    limiter: Limiter, valkey: PrivateValkey
) -> None:
    [decision] = call(limiter, "early")
    valkey.client.delete(f"{STEM}:=early:gcra", f"{STEM}:subjects")
    call(limiter, *strangers(MOST))
    limiter.settle(decision, {0: 1000})
    assert f"{STEM}:=early:gcra" not in states(valkey)
    assert any(":~" in key for key in states(valkey))


def test_giving_back_what_is_gone_takes_nothing_from_those_who_share(limiter: Limiter, valkey: PrivateValkey) -> None:
    [decision] = call(limiter, "late")
    valkey.client.delete(f"{STEM}:=late:gcra", f"{STEM}:subjects")
    call(limiter, *strangers(MOST))
    assert [one.is_allowed for one in call(limiter, "late", "late", "late")] == [True, True, False]
    limiter.release(decision, was_made=False)
    assert not call(limiter, "late")[0].is_allowed


def test_the_index_lasts_longer_than_any_state_that_it_counts(limiter: Limiter, valkey: PrivateValkey) -> None:
    """Whoever takes little first and much later would otherwise be counted by nobody."""
    window_ms = 31 * 24 * 3600 * 1000
    call(limiter, "ada", window_ms=window_ms, limit=1_000_000, burst=1_000_000)
    call(limiter, "ada", window_ms=window_ms, limit=1_000_000, burst=1_000_000, cost=900_000)
    (state,) = states(valkey)
    assert valkey.client.pttl(f"{STEM}:subjects") > valkey.client.pttl(state) > 20 * 24 * 3600 * 1000


def test_guards_share_no_state_because_strangers_would_fill_it() -> None:
    asked = Asked(INSTALLATION, Watched.FAILED_SIGN_INS, address="192.0.2.1", user="ada")
    rules = rules_for(UNCHANGED, asked).rules
    assert rules
    assert not any(rule.stem for rule in rules)


def test_a_look_takes_no_place(limiter: Limiter, valkey: PrivateValkey) -> None:
    limiter.peek_each([[of(name)] for name in strangers()])
    assert states(valkey) == set()
    assert not valkey.client.exists(f"{STEM}:subjects")


def test_the_policies_of_an_organization_share_its_bound() -> None:
    each = [
        policy("Header", subject=["header"], header="x-session"),
        policy("Token"),
        policy("All", subject=["organization"]),
    ]
    places = policy("Places", quantity="concurrency", algorithm="leases", limit=100)
    asked = Asked("acme", "api", token="t", header=lambda name: "v")
    rules = {one.policy: one for one in rules_for(section(*each, places), asked).rules}
    share = MOST_SUBJECTS // 3
    assert {name: one.most_subjects for name, one in rules.items()} == {
        "header": share,
        "token": share,
        "all": 0,
        "places": share // 100,
    }
    assert rules["header"].key[rules["header"].stem :] == ":=v"
    assert rules["all"].stem == 0


@pytest.mark.slow
def test_a_flood_of_values_stays_within_the_stated_memory(limiter: Limiter, valkey: PrivateValkey) -> None:
    before = valkey.client.info("memory")["used_memory"]
    header = "a-session-id-of-some-length-0123456789-abcdef-"
    most = MOST_SUBJECTS // 10
    longest = {"most_subjects": most, "window_ms": 31 * 24 * 3600 * 1000}
    for first in range(0, most + 4000, 2000):
        call(limiter, *(f"{header}{number}" for number in range(first, first + 2000)), **longest)
    assert most < len(states(valkey)) <= most + 256
    each = (valkey.client.info("memory")["used_memory"] - before) / most
    assert each < 450
