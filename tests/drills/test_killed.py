"""Workers killed with `kill -9` and frozen, at any moment and at exact ones."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.drills.checking import check, check_outside
from tests.drills.ground import QUICK, Ground
from tests.drills.jobs import (
    attempts,
    job,
    mixed,
    now,
    seconds_until_running_again,
    statuses,
    until_ended,
    worker_of,
)

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("drills")]

AGAIN_WITHIN_S = 10
IN_A_RUNNER = [
    "apps.jobs.dispatch:Taker.claim",
    "apps.jobs.dispatch:Taker.succeed_and_claim",
    "apps.jobs.dispatch:beat",
]
IN_A_SWEEPER = ["apps.jobs.services:retry_later", "before apps.jobs.telling:_notify"]


def test_p2_p6_a_job_whose_worker_was_killed_runs_again_within_ten_seconds(
    ground: Ground, record_property: Any
) -> None:
    acme = ground.organization()
    with ground.running(ground.program("runner"), ground.beat()) as running:
        (one,) = acme.submit(job("sleep", seconds=3))
        victim = running.process_of(worker_of(ground, one))
        killed_at = now(ground)
        victim.send_signal(signal.SIGKILL)
        seconds = seconds_until_running_again(ground, killed_at, one)
        record_property("A worker's process is killed: its job runs again after", f"{seconds:.1f} s")
        assert seconds <= AGAIN_WITHIN_S
        check(ground, [one])


def test_p1_p2_p6_the_whole_tree_is_killed_during_a_hundred_jobs(ground: Ground, record_property: Any) -> None:
    acme = ground.organization()
    with ground.running(ground.program("runner"), ground.beat()) as running:
        (long,) = acme.submit(job("sleep", seconds=20, then=1))
        worker_of(ground, long)
        submitted = acme.submit(*mixed(100))
        until_ended(ground, submitted, 20)
        killed_at = now(ground)
        running.signal_tree("runner", signal.SIGKILL)
        seconds = seconds_until_running_again(ground, killed_at, long)
        record_property("The whole worker is killed: its jobs run again after", f"{seconds:.1f} s")
        assert seconds <= AGAIN_WITHIN_S
        check(ground, [long, *submitted])


def test_p2_the_result_of_workers_that_froze_past_their_lease_is_refused(ground: Ground) -> None:
    acme = ground.organization()
    first, second = (ground.program("runner", called=name, **QUICK) for name in ("frozen", "awake"))
    with ground.running(first, ground.beat()) as running:
        # Each holds a transaction's worth of work that it wants to write when it wakes up.
        submitted = acme.submit(*[job("deaf", seconds=1)] * 3)
        workers = [worker_of(ground, one) for one in submitted]
        running.signal_tree("frozen", signal.SIGSTOP)
        with ground.running(second):
            ground.until(lambda: attempts(ground, submitted) == [2] * 3, "The jobs did not begin again")
            # Before their parent wakes up, which would end them for having been silent for so long.
            for worker in workers:
                running.process_of(worker).send_signal(signal.SIGCONT)
            ground.until(lambda: ground.log("frozen").count("lease_lost") >= 3, "Nothing was refused")
            running.signal_tree("frozen", signal.SIGCONT)
            check(ground, submitted)
    assert statuses(ground, submitted) == ["succeeded"] * 3
    assert attempts(ground, submitted) == [2] * 3


def test_p2_an_effect_is_not_repeated_wherever_its_worker_dies(ground: Ground, tmp_path: Path) -> None:
    acme = ground.organization()
    with ground.running(ground.program("runner", **QUICK), ground.beat()):
        submitted = acme.submit(
            *(job("killed", point=point) for point in ("before", "inside", "after")),
            job("outside", folder=str(tmp_path)),
        )
        check(ground, submitted)
    assert statuses(ground, submitted) == ["succeeded"] * 4
    assert attempts(ground, submitted) == [2, 2, 1, 2]
    check_outside(ground, tmp_path)


def test_p2_p6_processes_die_between_any_two_steps(ground: Ground, tmp_path: Path) -> None:
    def armed(point: str) -> dict[str, str]:
        return {**QUICK, "DRILL_KILL": point, "DRILL_KILLED": str(tmp_path)}

    acme = ground.organization()
    runners = [
        ground.program("runner", "--processes", "1", called=f"runner-{number}", **armed(point))
        for number, point in enumerate(IN_A_RUNNER)
    ]
    beats = [ground.beat(f"beat-{number}", **armed(point)) for number, point in enumerate(IN_A_SWEEPER)]
    submitted = acme.submit(*mixed(30), *[job("sleep", seconds=2)] * 6)
    with ground.running(*runners, *beats):
        everywhere = {*IN_A_RUNNER, *IN_A_SWEEPER}
        ground.until(lambda: {file.name for file in tmp_path.iterdir()} == everywhere, "Not every process died")
        check(ground, submitted)
