"""A request that submits a job, and the process that answers it."""

from __future__ import annotations

from pathlib import Path

import pytest

from apps.console.sample.client import Client
from tests.drills.checking import check
from tests.drills.ground import Ground

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("drills")]

# In the order in which a request comes by: the job is written, its answer not yet; it is committed, nobody knows.
POINTS = [
    "apps.jobs.submissions:submit_open_job",
    "before apps.organizations.idempotency:_remember",
    "apps.organizations.idempotency:IdempotencyMiddleware._answer_once",
]


def test_p1_p2_a_request_whose_process_is_killed_again_and_again_makes_one_job(ground: Ground, tmp_path: Path) -> None:
    acme = ground.organization()
    web = ground.program("web", DRILL_KILL=",".join(POINTS), DRILL_KILLED=str(tmp_path))
    with ground.running(web, ground.program("runner"), ground.beat()):
        # The client sends the same request with the same key until it is answered.
        answer = Client(ground.variables["PUBLIC_URL"], acme.token).post("/api/v1/jobs/", {"kind": "drill.plain"})
        assert {file.name for file in tmp_path.iterdir()} == set(POINTS)
        check(ground, [answer["id"]])
    made = ground.rows("SELECT id::text, status FROM jobs_job WHERE organization_id = %s", [acme.id])
    assert made == [(answer["id"], "succeeded")]
