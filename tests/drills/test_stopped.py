"""Workers that are asked to stop, and jobs that have to be stopped by force."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from tests.drills.checking import check
from tests.drills.ground import QUICK, Ground, Running
from tests.drills.jobs import attempts, job, now, seconds_until_running_again, statuses, worker_of

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("drills")]


def ends_and_is_replaced(ground: Ground, running: Running, worker: str) -> None:
    ground.until(lambda: not running.is_alive(worker), f"{worker} did not end")
    ground.until(lambda: running.is_working("runner"), "Nobody took its place")


def test_p2_p6_a_stopping_worker_finishes_what_is_short_and_hands_back_what_is_long(
    ground: Ground, record_property: Any
) -> None:
    acme = ground.organization()
    with ground.running(ground.program("runner"), ground.beat()) as running:
        # An only attempt, which being handed back must not cost.
        long, short = submitted = acme.submit(
            job("sleep", seconds=20, then=1, wishes={"max_attempts": 1}), job("sleep", seconds=1)
        )
        worker_of(ground, long)
        worker_of(ground, short)
        stopped_at = now(ground)
        running.process("runner").send_signal(signal.SIGTERM)
        seconds = seconds_until_running_again(ground, stopped_at, long)
        record_property("A worker is stopped (SIGTERM): its 20 s job runs again after", f"{seconds:.1f} s")
        check(ground, submitted)
    assert statuses(ground, submitted) == ["succeeded"] * 2
    assert attempts(ground, submitted) == [2, 1]


def test_p6_a_job_that_ignores_its_cancel_is_ended_with_its_process(ground: Ground, record_property: Any) -> None:
    acme = ground.organization()
    with ground.running(ground.program("runner", **QUICK), ground.beat()) as running:
        deaf, obedient = submitted = acme.submit(job("deaf", seconds=60), job("sleep", seconds=60))
        workers = [worker_of(ground, one) for one in submitted]
        acme.cancel(deaf, obedient)
        ends_and_is_replaced(ground, running, workers[0])
        check(ground, submitted)
        assert running.is_alive(workers[1])
    assert statuses(ground, submitted) == ["cancelled"] * 2
    assert attempts(ground, submitted) == [1, 1]


def test_p6_p7_jobs_that_break_their_worker_end_and_their_neighbours_do_not_feel_it(ground: Ground) -> None:
    acme = ground.organization()
    with ground.running(ground.program("runner", **QUICK), ground.beat()) as running:
        # One that lets nothing else of its process run, and one that only takes too long.
        held, hung = stuck = acme.submit(
            job("gil", seconds=60, wishes={"max_attempts": 1}), job("deaf", seconds=60, wishes={"time_limit_s": 1})
        )
        workers = [worker_of(ground, one) for one in stuck]
        poison = acme.submit(*[job("segfault", wishes={"max_attempts": 3})] * 2)
        neighbours = acme.submit(*[job("sleep", seconds=0.05)] * 30)
        for worker in workers:
            ends_and_is_replaced(ground, running, worker)
        check(ground, [*stuck, *poison, *neighbours])
    assert statuses(ground, [held, hung]) == ["dead", "failed"]
    assert (statuses(ground, poison), attempts(ground, poison)) == (["dead"] * 2, [3] * 2)
    assert (statuses(ground, neighbours), attempts(ground, neighbours)) == (["succeeded"] * 30, [1] * 30)


def test_p2_p6_a_stopping_worker_hands_back_jobs_that_listen_to_nobody(ground: Ground, record_property: Any) -> None:
    acme = ground.organization()
    # Several in one process, which may only be ended when all of them are handed back.
    runner = ground.program("runner", "--processes", "1", "--threads", "3")
    with ground.running(runner, ground.beat()) as running:
        submitted = acme.submit(*[job("deaf", seconds=20, then=0, wishes={"max_attempts": 1})] * 3)
        for one in submitted:
            worker_of(ground, one)
        stopped_at = now(ground)
        running.process("runner").send_signal(signal.SIGTERM)
        seconds = [seconds_until_running_again(ground, stopped_at, one) for one in submitted]
        record_property("The same with jobs that listen to nobody", f"{max(seconds):.1f} s")
        check(ground, submitted)
    assert (statuses(ground, submitted), attempts(ground, submitted)) == (["succeeded"] * 3, [2] * 3)
