from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.gateway.breakers import FAILED_IN_A_ROW, LEAST_CALLS, MOST_OPEN_S, OPEN_S, WINDOW_S, Breaker, Failures, State
from apps.gateway.enums import ErrorClass


def failed(times: int, now: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(times):
        breaker.pass_one(now)
        breaker.fail(now)
    return breaker


def test_several_failures_in_a_row_open_it() -> None:
    assert failed(FAILED_IN_A_ROW - 1).state(0.0) == State.CLOSED
    breaker = failed(FAILED_IN_A_ROW)
    assert breaker.state(0.0) == State.OPEN
    assert not breaker.may_pass(0.0)


def test_a_share_of_failures_opens_it_once_there_were_enough_calls() -> None:
    breaker = Breaker()
    for number in range(LEAST_CALLS):
        (breaker.succeed if number % 2 else breaker.fail)(0.0)
    assert breaker.state(0.0) == State.CLOSED
    breaker.fail(0.0)
    assert breaker.state(0.0) == State.OPEN


def test_what_is_long_ago_does_not_count() -> None:
    breaker = Breaker()
    for _ in range(LEAST_CALLS):
        breaker.fail(0.0) if breaker.state(0.0) == State.CLOSED and breaker._in_a_row < 4 else breaker.succeed(0.0)
    for _ in range(LEAST_CALLS):
        breaker.succeed(WINDOW_S + 1)
    assert breaker._failed == 0


def test_half_open_one_call_at_a_time_shows_whether_it_is_back() -> None:
    breaker = failed(FAILED_IN_A_ROW)
    now = breaker.open_until
    assert breaker.state(now) == State.HALF_OPEN
    assert breaker.may_pass(now)
    breaker.pass_one(now)
    assert not breaker.may_pass(now)
    breaker.succeed(now)
    assert breaker.state(now) == State.CLOSED
    assert breaker.may_pass(now)


def test_a_probe_that_shows_nothing_lets_the_next_one_through() -> None:
    breaker = failed(FAILED_IN_A_ROW)
    now = breaker.open_until
    breaker.pass_one(now)
    breaker.give_up()
    assert breaker.may_pass(now)


def test_each_probe_that_fails_opens_it_for_longer_up_to_a_most() -> None:
    breaker = failed(FAILED_IN_A_ROW)
    waits = [breaker.open_until]
    for _ in range(10):
        now = breaker.open_until
        breaker.pass_one(now)
        breaker.fail(now)
        waits.append(breaker.open_until - now)
    assert OPEN_S / 2 <= waits[0] <= OPEN_S
    assert waits[-1] > 4 * waits[0]
    assert max(waits) <= MOST_OPEN_S


def test_calls_that_were_under_way_when_it_opened_do_not_open_it_again() -> None:
    breaker = failed(FAILED_IN_A_ROW)
    until, openings = breaker.open_until, breaker.openings
    breaker.fail(0.0)
    assert (breaker.open_until, breaker.openings) == (until, openings)


@given(st.lists(st.tuples(st.floats(0, 10), st.booleans()), max_size=300))
def test_its_count_is_that_of_its_window(ends: list[tuple[float, bool]]) -> None:
    breaker, now = Breaker(), 0.0
    for passed, is_failure in ends:
        now += passed
        (breaker.fail if is_failure else breaker.succeed)(now)
        assert breaker._failed == sum(failure for _, failure in breaker._ends)
        assert all(at >= now - WINDOW_S for at, _ in breaker._ends)


@pytest.mark.parametrize("calls", [10_000])
def test_its_memory_is_bounded(calls: int) -> None:
    breaker = Breaker()
    for _ in range(calls):
        breaker.succeed(1.0)
    assert len(breaker._ends) <= 1_000


def test_failures_are_counted_by_class_for_five_minutes() -> None:
    failures = Failures()
    for at in (0.0, 1.0, 61.0):
        failures.note(ErrorClass.TIMEOUT, at)
    failures.note(ErrorClass.BROKEN, 200.0)
    assert failures.lately(200.0) == {"timeout": 3, "broken": 1}
    assert failures.lately(310.0) == {"timeout": 1, "broken": 1}
    assert failures.lately(3_600.0) == {}
