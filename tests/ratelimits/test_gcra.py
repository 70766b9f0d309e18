"""The leaky bucket beside one that counts in fractions, from its whole log each time."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from apps.ratelimits import gcra
from apps.ratelimits.rules import LONGEST_MS, Algorithm, Rule
from tests.ratelimits.rules import MOST, NOW_MS, costs, limits, pauses, rule, rules_of, steps, windows

rules = rules_of(Algorithm.GCRA)


class Bucket:
    """Everything that was put in, taken out or looked at out of turn, with the rule of that moment."""

    def __init__(self) -> None:
        self.log: list[tuple[int, Rule, int]] = []

    def level(self, rule: Rule, now_ms: int) -> Fraction:
        level, at_ms, burst = Fraction(0), now_ms, 0
        for moment, then, change in [*self.log, (now_ms, rule, 0)]:
            level = Fraction(ceil(level * then.window_ms), then.window_ms)  # another window rounds a part up
            if burst > then.burst:
                level = min(level, Fraction(then.burst)) + max(Fraction(0), level - burst)
            level -= Fraction(max(0, moment - at_ms) * then.limit, then.window_ms)
            level, at_ms, burst = max(Fraction(0), level) + change, moment, then.burst
        return level

    def passes(self, rule: Rule, now_ms: int) -> bool:
        return self.level(rule, now_ms) + rule.cost <= rule.burst

    def last_ms(self) -> int:
        return self.log[-1][0] if self.log else 0


def exact(level: gcra.Level) -> Fraction:
    return Fraction(level.parts, level.window_ms)


@given(st.lists(st.tuples(steps, rules), max_size=12))
def test_it_is_the_bucket_of_fractions_whatever_the_times_costs_and_changes(calls: list[tuple[int, Rule]]) -> None:
    stored, bucket, now_ms = None, Bucket(), NOW_MS
    for step, call in calls:
        now_ms += step
        if now_ms < bucket.last_ms():
            bucket.log.append((now_ms, call, 0))
        level = gcra.aged(stored, call, now_ms)
        assert exact(level) == bucket.level(call, now_ms)
        is_allowed = gcra.wait_ms(level, call, now_ms) == 0
        assert is_allowed == bucket.passes(call, now_ms)
        if stored is not None and gcra.is_stale(stored, call, now_ms):
            stored = level
        if is_allowed:
            stored = gcra.taken(level, call, now_ms, call.cost)
            bucket.log.append((now_ms, call, call.cost))


@given(rules, costs, st.integers(0, 10**6), st.integers(0, 50))
def test_a_refused_call_passes_exactly_when_it_was_told(call: Rule, held: int, part: int, elapsed: int) -> None:
    stored = gcra.Level(held, part % call.window_ms, call.window_ms, NOW_MS)
    now_ms = NOW_MS + elapsed
    wait = gcra.wait_ms(gcra.aged(stored, call, now_ms), call, now_ms)
    if wait > 0 and wait < LONGEST_MS:
        for later, is_allowed in ((now_ms + wait - 1, False), (now_ms + wait, True)):
            assert (gcra.wait_ms(gcra.aged(stored, call, later), call, later) == 0) == is_allowed
    assert (wait == -1) == (call.cost > call.burst)


@given(rules, costs)
def test_it_is_empty_exactly_when_it_was_told(call: Rule, held: int) -> None:
    stored = gcra.Level(held, 0, call.window_ms, NOW_MS)
    reset = gcra.reset_after_ms(stored, call, NOW_MS)
    if 0 < reset < LONGEST_MS:
        assert gcra.aged(stored, call, NOW_MS + reset).parts == 0
        assert gcra.aged(stored, call, NOW_MS + reset - 1).parts > 0


@given(limits, windows, limits, st.lists(st.tuples(pauses, costs), max_size=20))
def test_no_stretch_of_time_passes_more_than_the_burst_and_what_leaks_in_it(
    limit: int, window_ms: int, burst: int, calls: list[tuple[int, int]]
) -> None:
    stored, now_ms, passed = None, NOW_MS, []
    for pause, cost in calls:
        now_ms += pause
        call = rule(limit=limit, window_ms=window_ms, burst=burst, cost=cost)
        level = gcra.aged(stored, call, now_ms)
        if gcra.wait_ms(level, call, now_ms) == 0:
            stored = gcra.taken(level, call, now_ms, cost)
            passed.append((now_ms, cost))
    for index, (began, _) in enumerate(passed):
        for last in range(index, len(passed)):
            stretch = Fraction((passed[last][0] - began) * limit, window_ms)
            assert sum(cost for _, cost in passed[index : last + 1]) <= burst + stretch


small_rules = st.builds(rule, limit=st.integers(1, 20), burst=st.integers(1, 20), cost=st.integers(0, 20))
small_pauses = st.integers(0, 1_500)


@given(
    st.one_of(rules, small_rules),
    st.lists(st.tuples(st.one_of(small_pauses, pauses), costs), max_size=6),
    small_pauses,
    st.one_of(st.integers(0, 20), costs),
    st.integers(0, 20),
)
def test_settling_gives_back_no_more_than_was_never_used(
    call: Rule, later: list[tuple[int, int]], pause: int, actual: int, before: int
) -> None:
    """Beside a bucket into which only the actual quantity went, and one that was never settled."""
    before, actual = min(before, call.burst), min(actual, call.cost)
    cost = min(call.cost, call.burst - before)
    actual = min(actual, cost)
    level = gcra.taken(gcra.Level(before, 0, call.window_ms, NOW_MS), call, NOW_MS, cost)
    reset_ms = gcra.reset_after_ms(level, call, NOW_MS)
    truth = gcra.Level(before + actual, 0, call.window_ms, NOW_MS)
    now_ms = NOW_MS
    for gap, quantity in later:
        now_ms += gap
        level = gcra.taken(gcra.aged(level, call, now_ms), call, now_ms, quantity)
        truth = gcra.taken(gcra.aged(truth, call, now_ms), call, now_ms, quantity)
    now_ms += pause
    unsettled = gcra.aged(level, call, now_ms)
    settled = gcra.given_back(unsettled, call, now_ms, cost - actual, NOW_MS, reset_ms)
    assert exact(gcra.aged(truth, call, now_ms)) <= exact(settled) <= exact(unsettled)


def test_what_leaked_before_it_was_settled_is_not_given_back_again() -> None:
    """Ten were expected and none used, but all ten had leaked when ten others came."""
    call = rule(limit=10, window_ms=1_000, burst=10)
    first = gcra.taken(gcra.aged(None, call, NOW_MS), call, NOW_MS, 10)
    now_ms = NOW_MS + 1_000
    second = gcra.taken(gcra.aged(first, call, now_ms), call, now_ms, 10)
    assert gcra.given_back(second, call, now_ms, 10, NOW_MS, 1_000).units == 10


@given(rules, st.integers(0, MOST))
def test_what_is_settled_at_once_is_given_back_in_full(call: Rule, actual: int) -> None:
    cost = min(call.cost, call.burst)
    level = gcra.taken(gcra.aged(None, call, NOW_MS), call, NOW_MS, cost)
    unused = max(0, cost - actual)
    settled = gcra.given_back(level, call, NOW_MS, unused, NOW_MS, 0)
    assert settled.units == cost - unused


@given(rules, st.integers(0, 10**6))
def test_of_a_call_that_was_alone_and_never_made_less_than_a_millisecond_stays(call: Rule, duration_ms: int) -> None:
    level = gcra.taken(gcra.aged(None, call, NOW_MS), call, NOW_MS, min(call.cost, call.burst))
    reset_ms, now_ms = gcra.reset_after_ms(level, call, NOW_MS), NOW_MS + duration_ms
    level = gcra.given_back(gcra.aged(level, call, now_ms), call, now_ms, level.units, NOW_MS, reset_ms)
    assert reset_ms == LONGEST_MS or gcra.reset_after_ms(level, call, now_ms) <= 1


def test_a_raised_limit_frees_a_refused_caller_at_once_and_a_lowered_one_refuses_at_once() -> None:
    small = rule(limit=1, window_ms=60_000, burst=1)
    level = gcra.taken(gcra.aged(None, small, NOW_MS), small, NOW_MS, 1)
    assert gcra.wait_ms(level, small, NOW_MS) == 60_000
    assert gcra.wait_ms(gcra.aged(level, replace(small, limit=60), NOW_MS), replace(small, limit=60), NOW_MS) == 1_000
    assert gcra.wait_ms(level, replace(small, burst=2), NOW_MS) == 0
    large = rule(burst=10)
    level = gcra.taken(gcra.aged(None, large, NOW_MS), large, NOW_MS, 5)
    assert gcra.wait_ms(level, large, NOW_MS) == 0
    assert gcra.wait_ms(level, replace(large, burst=5), NOW_MS) == 100


def test_who_used_much_of_a_large_limit_waits_for_a_small_one_no_longer_than_for_all_of_it() -> None:
    large, small = rule(limit=600_000, burst=600_000, window_ms=60_000), rule(limit=10, burst=10, window_ms=60_000)
    used = gcra.taken(gcra.aged(None, large, NOW_MS), large, NOW_MS, 500_000)
    assert gcra.wait_ms(gcra.aged(used, small, NOW_MS), small, NOW_MS) == 6_000
    assert gcra.reset_after_ms(gcra.aged(used, small, NOW_MS), small, NOW_MS) == 60_000
    beyond = gcra.taken(used, large, NOW_MS, 100_005)
    assert gcra.aged(beyond, small, NOW_MS).units == 10 + 5


def test_a_clock_that_steps_back_drains_nothing_and_blocks_nothing() -> None:
    call = rule(limit=10, burst=10)
    stored = gcra.taken(gcra.aged(None, call, NOW_MS), call, NOW_MS, 10)
    stepped = gcra.aged(stored, call, NOW_MS - 10**9)
    assert stepped.units == 10
    assert gcra.wait_ms(stepped, call, NOW_MS - 10**9) == 100
