"""One organization's many jobs, and another's first one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.drills.checking import check
from tests.drills.ground import Ground
from tests.drills.jobs import job, now, seconds_until_running_again, worker_of

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("drills")]

BEGINS_WITHIN_S = 10
PROCESSES = 3


def test_p7_five_thousand_jobs_of_one_do_not_delay_another(ground: Ground, record_property: Any) -> None:
    acme, globex = ground.organization(), ground.organization()
    submitted = acme.pile("drill.plain", 5000)
    with ground.running(ground.program("runner"), ground.beat()):
        submitted_at = now(ground)
        (other,) = globex.submit(job("plain"))
        seconds = seconds_until_running_again(ground, submitted_at, other)
        record_property("5,000 short jobs of one organization wait: another's first begins after", f"{seconds:.2f} s")
        assert seconds <= BEGINS_WITHIN_S
        check(ground, [*submitted, other])


def test_p7_long_jobs_of_one_leave_a_process_for_another(ground: Ground, record_property: Any) -> None:
    acme, globex = ground.organization(), ground.organization()
    with ground.running(ground.program("runner"), ground.beat()):
        submitted = acme.submit(*[job("sleep", seconds=600)] * 50)
        for one in submitted[:PROCESSES]:
            worker_of(ground, one)
        submitted_at = now(ground)
        (other,) = globex.submit(job("plain"))
        seconds = seconds_until_running_again(ground, submitted_at, other)
        record_property("Long jobs of one organization run: another's first begins after", f"{seconds:.2f} s")
        assert seconds <= BEGINS_WITHIN_S
        acme.cancel(*submitted)
        check(ground, [*submitted, other])
