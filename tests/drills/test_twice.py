"""Two of everything at once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.drills.checking import check
from tests.drills.ground import Ground
from tests.drills.jobs import job, mixed, now, statuses

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("drills")]

# What becomes of `mixed`, and so of what waits for each of them.
ENDS = ["succeeded", "succeeded", "succeeded", "succeeded", "failed", "dead"]


def test_p10_two_sweepers_and_two_workers_do_everything_once(ground: Ground) -> None:
    acme = ground.organization()
    first = acme.submit(*mixed(120))
    waiting = acme.submit(*(job("sleep", seconds=0, wishes={"depends_on": [one]}) for one in first))
    begun = now(ground)
    scheduled = acme.submit(
        *(job("plain", wishes={"run_at": (begun + timedelta(seconds=number % 10)).isoformat()}) for number in range(60))
    )
    runners = [ground.program("runner", called=name) for name in ("runner", "runner-2")]
    with ground.running(*runners, ground.beat(), ground.beat("beat-2")):
        check(ground, [*first, *waiting, *scheduled])
    ends = [ENDS[number % len(ENDS)] for number in range(120)]
    assert statuses(ground, first) == ends
    assert statuses(ground, waiting) == ["succeeded" if end == "succeeded" else "failed" for end in ends]
    assert statuses(ground, scheduled) == ["succeeded"] * 60
    early = "SELECT count(*) FROM jobs_job WHERE id = ANY (%s::uuid[]) AND started_at < run_at"
    assert ground.value(early, [scheduled]) == 0
