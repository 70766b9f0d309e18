"""The checker that ends every drill sees what it is there to see."""

from __future__ import annotations

import pytest

from tests.drills.checking import RULES, broken, check
from tests.drills.ground import Ground
from tests.drills.jobs import job

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("drills")]

DAMAGE = {
    "every job has ended": "UPDATE jobs_job SET status = 'pending'",
    "nobody holds an ended job": "UPDATE jobs_job SET lease_until = now()",
    "each end was told": "UPDATE jobs_job SET told_at = NULL",
    "the history ends as the job": "DELETE FROM jobs_jobtransition WHERE status = 'succeeded'",
    "only legal changes": "UPDATE jobs_jobtransition SET status = 'cancelled' WHERE status = 'pending'",
    "attempts have no gap": "UPDATE jobs_jobtransition SET attempt = 2 WHERE status = 'running'",
    "one success of each that succeeded": "UPDATE jobs_jobtransition SET status = 'succeeded' WHERE status = 'running'",
    "one effect of each that succeeded": "DELETE FROM usage_usageevent WHERE meter = 'drill'",
    "no effect without its job": "UPDATE usage_usageevent SET dimensions = '{\"job\": \"\"}' WHERE meter = 'drill'",
    "the ledger holds each span that a job ran": "UPDATE usage_usageevent SET quantity = -1 WHERE meter = 'job_ms'",
    "the ledger's sums are those of its rows": "UPDATE usage_usagesum SET event_count = event_count + 1",
    "webhooks hear of each end once": "DELETE FROM notifications_delivery; DELETE FROM notifications_webhookmessage",
}


def test_each_rule_finds_what_breaks_it(ground: Ground) -> None:
    submitted = ground.organization().submit(job("sleep", seconds=0))
    with ground.running(ground.program("runner"), ground.beat()):
        check(ground, submitted)
    assert DAMAGE.keys() == RULES.keys()
    blind = []
    for rule, damage in DAMAGE.items():
        with ground.connected() as connection:
            connection.execute("SET session_replication_role = 'replica'")
            connection.execute(damage)
            if rule not in broken(connection):
                blind.append(rule)
            connection.rollback()
    assert blind == []
