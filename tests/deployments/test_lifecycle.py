"""One replica's life alone: what its process shows, in; its next state and the order for it, out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.deployments import lifecycle
from apps.deployments.enums import ReplicaStatus
from apps.deployments.lifecycle import LOST, Life, Order, Sight, advance, delay_after, stop

NOW = datetime(2025, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
SILENT = Sight(is_alive=True, pid=7)
HEALTHY = Sight(is_alive=True, is_healthy=True, address="127.0.0.1:9", pid=7)
DEAD = Sight(is_alive=False, error="Exit status 1")


def starting() -> Life:
    return Life(ReplicaStatus.STARTING, NOW, started_at=NOW)


def ready(since: datetime = NOW) -> Life:
    life, _ = advance(replace(starting(), changed_at=since), HEALTHY, since)
    return life


def test_a_replica_is_ready_when_it_answers_and_not_before() -> None:
    life, order = advance(starting(), SILENT, NOW + SECOND)
    assert (life.status, order) == (ReplicaStatus.STARTING, Order.NONE)
    life, order = advance(life, HEALTHY, NOW + 2 * SECOND)
    assert (life.status, order) == (ReplicaStatus.READY, Order.NONE)
    assert (life.address, life.pid, life.ready_at) == ("127.0.0.1:9", 7, NOW + 2 * SECOND)


def test_a_replica_that_died_starts_again_at_once_and_says_why() -> None:
    life, order = advance(ready(), DEAD, NOW + SECOND)
    assert (life.status, order) == (ReplicaStatus.STARTING, Order.START)
    assert (life.restart_count, life.address, life.last_error) == (1, "", "Exit status 1")


def test_a_replica_whose_process_is_unknown_starts_again() -> None:
    assert advance(ready(), LOST, NOW + SECOND)[1] == Order.START


def test_the_second_crash_in_a_row_waits() -> None:
    life, _ = advance(starting(), DEAD, NOW)
    life, order = advance(life, DEAD, NOW)
    assert (life.status, order, life.retry_at) == (ReplicaStatus.FAILED, Order.NONE, NOW + SECOND)
    assert advance(life, DEAD, NOW + SECOND / 2) == (life, Order.NONE)
    life, order = advance(life, DEAD, NOW + SECOND)
    assert (life.status, order, life.restart_count) == (ReplicaStatus.STARTING, Order.START, 2)


def test_crashes_are_forgotten_once_a_replica_has_run_stably() -> None:
    crashed = replace(ready(), failure_count=4)
    early, _ = advance(crashed, DEAD, NOW + lifecycle.STABLE_AFTER - SECOND)
    late, _ = advance(crashed, DEAD, NOW + lifecycle.STABLE_AFTER)
    assert early.failure_count == 5
    assert early.has_given_up
    assert late.failure_count == 1


def test_a_replica_that_stops_answering_loses_its_calls_and_then_its_life() -> None:
    missed = replace(SILENT, missed_probes=lifecycle.MISSED_PROBES)
    life, order = advance(ready(), missed, NOW + SECOND)
    assert (life.status, order) == (ReplicaStatus.UNHEALTHY, Order.NONE)
    assert advance(life, missed, NOW + 2 * SECOND) == (life, Order.NONE)
    life, order = advance(life, missed, NOW + SECOND + lifecycle.UNHEALTHY_DEADLINE)
    assert (life.status, order) == (ReplicaStatus.STARTING, Order.START)


def test_a_single_missed_health_check_changes_nothing() -> None:
    assert advance(ready(), replace(SILENT, missed_probes=1), NOW + SECOND) == (ready(), Order.NONE)


def test_an_unhealthy_replica_that_answers_again_is_ready() -> None:
    unhealthy = replace(ready(), status=ReplicaStatus.UNHEALTHY, changed_at=NOW)
    assert advance(unhealthy, HEALTHY, NOW + SECOND)[0].status == ReplicaStatus.READY


def test_a_start_that_takes_too_long_is_a_crash() -> None:
    life, order = advance(starting(), SILENT, NOW + lifecycle.START_DEADLINE)
    assert (life.failure_count, order) == (1, Order.START)
    again = replace(life, changed_at=NOW)
    life, order = advance(again, SILENT, NOW + lifecycle.START_DEADLINE)
    assert (life.status, order) == (ReplicaStatus.FAILED, Order.KILL)


def test_a_stopping_replica_first_drains_then_is_asked_then_is_killed() -> None:
    life = stop(ready(), NOW)
    assert advance(life, HEALTHY, NOW)[1] == Order.NONE
    assert advance(life, HEALTHY, NOW + lifecycle.DRAIN)[1] == Order.TERMINATE
    assert advance(life, HEALTHY, NOW + lifecycle.DRAIN + lifecycle.STOP_GRACE)[1] == Order.KILL
    assert advance(life, DEAD, NOW + SECOND)[1] == Order.FORGET


def test_that_a_scaler_is_at_work_is_noted_now_and_then() -> None:
    life = ready()
    assert advance(life, HEALTHY, NOW + SECOND)[0] == life
    later = NOW + lifecycle.HEALTH_NOTED_EVERY
    assert advance(life, HEALTHY, later)[0] == replace(life, last_healthy_at=later)


@given(st.integers(0, 10_000))
def test_the_delay_grows_and_stays_within_its_limit(failure_count: int) -> None:
    assert delay_after(failure_count) <= delay_after(failure_count + 1) <= lifecycle.LONGEST_DELAY


sights = st.sampled_from([SILENT, HEALTHY, DEAD, LOST, replace(SILENT, missed_probes=3)])


@given(st.lists(st.tuples(sights, st.floats(0, 90)), max_size=60))
def test_a_wanted_replica_is_never_given_up_for_good(story: list[tuple[Sight, float]]) -> None:
    life, now = starting(), NOW
    for sight, seconds in story:
        now += timedelta(seconds=seconds)
        life, order = advance(life, sight, now)
        assert life.status != ReplicaStatus.STOPPING
        assert order not in {Order.TERMINATE, Order.FORGET}
        assert (life.status == ReplicaStatus.READY) <= bool(life.address)
    life, _ = advance(life, HEALTHY, now + lifecycle.LONGEST_DELAY)
    assert advance(life, HEALTHY, now + lifecycle.LONGEST_DELAY)[0].status == ReplicaStatus.READY


@pytest.mark.parametrize("status", [one for one in ReplicaStatus if one != ReplicaStatus.STOPPING])
def test_a_replica_that_is_not_needed_ends_from_every_state(status: ReplicaStatus) -> None:
    life = stop(replace(ready(), status=status), NOW)
    assert advance(life, DEAD, NOW + SECOND)[1] == Order.FORGET
