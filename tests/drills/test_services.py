"""Redis emptied and restarted, PostgreSQL restarted in each of its ways, while jobs wait and run."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from tests.drills.checking import check
from tests.drills.ground import Ground
from tests.drills.jobs import (
    job,
    mixed,
    now,
    seconds_until_next_end,
    seconds_until_running_again,
    statuses,
    until_ended,
)

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("drills")]


def test_p1_redis_is_emptied_while_five_hundred_jobs_wait(ground: Ground) -> None:
    acme = ground.organization()
    submitted = acme.submit(*[job("plain")] * 500)
    with ground.running(ground.program("runner"), ground.beat()):
        ground.redis.flushall()
        check(ground, submitted)
    assert statuses(ground, submitted) == ["succeeded"] * 500


def test_p1_p6_redis_is_restarted_while_workers_wait_and_while_they_work(ground: Ground, record_property: Any) -> None:
    acme = ground.organization()
    with ground.running(ground.program("runner"), ground.beat()):
        ground.restart("valkey")
        submitted_at = now(ground)
        (first,) = acme.submit(job("plain"))
        seconds = seconds_until_running_again(ground, submitted_at, first)
        record_property("Redis was restarted while workers waited: the next job begins after", f"{seconds:.2f} s")
        submitted = acme.submit(*mixed(60))
        until_ended(ground, submitted, 10)
        ground.restart("valkey")
        check(ground, [first, *submitted])


def test_p1_p2_p6_postgresql_is_restarted_while_fifty_jobs_run(ground: Ground, record_property: Any) -> None:
    acme = ground.organization()
    with ground.running(ground.program("runner"), ground.beat()):
        submitted = acme.submit(*[job("sleep", seconds=0.4)] * 50)
        for number, name in enumerate(["SIGINT", "SIGQUIT", "SIGKILL"], start=1):
            until_ended(ground, submitted, number * 5)
            killed_at = now(ground)
            ground.restart("postgres", signal.Signals[name])
            seconds = seconds_until_next_end(ground, killed_at)
            record_property(f"PostgreSQL is restarted ({name}): the next job ends after", f"{seconds:.1f} s")
        check(ground, submitted)
    assert statuses(ground, submitted) == ["succeeded"] * 50
