"""The end of each drill: jobs, history and ledger add up. It asks the database itself and believes no code of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg

from tests.drills.ground import PATIENCE_S, Ground
from tests.drills.names import EFFECTIVE, METER, OUTSIDE

FINISHED = ["succeeded", "failed", "cancelled", "dead"]
LEGAL = {
    None: ["pending"],
    "pending": ["running", "failed", "cancelled"],
    "retrying": ["running", "failed", "cancelled"],
    "running": ["retrying", *FINISHED],
}
HISTORY = """
CREATE VIEW drill_history AS
SELECT id, organization_id, job_id, status, attempt, created_at,
    lag(status) OVER steps AS before, lag(attempt) OVER steps AS attempt_before,
    lead(created_at) OVER steps AS until
FROM jobs_jobtransition WINDOW steps AS (PARTITION BY job_id ORDER BY id)
"""
# Each finds what must not be, with the parameters that it names.
RULES = {
    "every job has ended": "SELECT id, kind, status FROM jobs_job WHERE NOT status = ANY (%(finished)s)",
    "nobody holds an ended job": "SELECT id FROM jobs_job WHERE lease_until IS NOT NULL",
    "each end was told": "SELECT id FROM jobs_job WHERE told_at IS NULL",
    "the history ends as the job": """
        SELECT job.id, job.status, job.attempt, last.status, last.attempt
        FROM jobs_job AS job LEFT JOIN LATERAL (
            SELECT status, attempt FROM jobs_jobtransition WHERE job_id = job.id ORDER BY id DESC LIMIT 1
        ) AS last ON true
        WHERE (job.status, job.attempt) IS DISTINCT FROM (last.status, last.attempt)""",
    "only legal changes": """
        SELECT job_id, before, status FROM drill_history
        WHERE NOT coalesce(before, '') || '>' || status = ANY (%(changes)s)""",
    "attempts have no gap": """
        SELECT job_id, status, attempt, attempt_before FROM drill_history
        WHERE attempt <> coalesce(attempt_before, 0) + (status = 'running')::integer""",
    "one success of each that succeeded": """
        SELECT job.id FROM jobs_job AS job LEFT JOIN jobs_jobtransition AS step ON step.job_id = job.id
        GROUP BY job.id, job.status
        HAVING count(*) FILTER (WHERE step.status = 'succeeded') <> (job.status = 'succeeded')::integer""",
    "one effect of each that succeeded": """
        SELECT job.id, job.kind, job.status, count(event.id) FROM jobs_job AS job
        LEFT JOIN usage_usageevent AS event ON event.meter = %(meter)s AND event.dimensions ->> 'job' = job.id::text
        WHERE job.kind = ANY (%(effective)s) GROUP BY job.id
        HAVING count(event.id) <> (job.status = 'succeeded')::integer""",
    "no effect without its job": """
        SELECT event.id FROM usage_usageevent AS event WHERE event.meter = %(meter)s AND NOT EXISTS (
            SELECT FROM jobs_job WHERE id::text = event.dimensions ->> 'job'
                AND organization_id = event.organization_id
        )""",
    "the ledger holds each span that a job ran": """
        SELECT span.id, event.id, event.quantity FROM (
            SELECT usage_derived_id(until, id::text) AS id, organization_id,
                round(extract(epoch FROM until - created_at) * 1000) AS ran_ms
            FROM drill_history WHERE status = 'running'
        ) AS span FULL JOIN (SELECT * FROM usage_usageevent WHERE meter = 'job_ms') AS event USING (id)
        WHERE (span.organization_id, span.ran_ms)
            IS DISTINCT FROM (event.organization_id, event.quantity::numeric)""",
    "the ledger's sums are those of its rows": """
        SELECT * FROM (
            SELECT organization_id, meter, sum(quantity) AS quantity, count(*) FROM usage_usageevent GROUP BY 1, 2
        ) AS rows FULL JOIN (
            SELECT organization_id, meter, sum(quantity) AS quantity, sum(event_count) AS count
            FROM usage_usagesum GROUP BY 1, 2
        ) AS sums USING (organization_id, meter)
        WHERE (rows.quantity, rows.count) IS DISTINCT FROM (sums.quantity, sums.count)""",
    "webhooks hear of each end once": """
        SELECT job.id, count(message.id) FROM jobs_job AS job LEFT JOIN notifications_webhookmessage AS message
            ON message.organization_id = job.organization_id AND message.event LIKE 'job.%%'
                AND message.body::jsonb #>> '{data,id}' = job.id::text
        GROUP BY job.id HAVING count(message.id) <> 1""",
}


PARAMETERS = {
    "finished": FINISHED,
    "changes": [f"{before or ''}>{after}" for before, ends in LEGAL.items() for after in ends],
    "meter": METER,
    "effective": EFFECTIVE,
}


def prepare(ground: Ground) -> None:
    ground.execute(HISTORY)


def check(ground: Ground, submitted: list[str], seconds: float = PATIENCE_S) -> None:
    """Wait until everything has ended, and find nothing amiss."""
    ground.until(lambda: not _open(ground), "Not everything ended", seconds)
    lost = ground.rows("SELECT unnest(%s::uuid[]) EXCEPT SELECT id FROM jobs_job", [submitted])
    assert not lost, f"lost: {lost}"
    with ground.connected() as connection:
        found = broken(connection)
    assert not found, found


def broken(connection: psycopg.Connection) -> dict[str, list[Any]]:
    """The rules that do not hold, each with the rows that break it."""
    found = {rule: connection.execute(query, PARAMETERS).fetchall() for rule, query in RULES.items()}
    return {rule: rows for rule, rows in found.items() if rows}


def check_outside(ground: Ground, folder: Path) -> None:
    """Effects outside the database: one of each job that succeeded."""
    done = ground.rows("SELECT id FROM jobs_job WHERE kind = %s AND status = 'succeeded'", [OUTSIDE])
    assert {str(row[0]) for row in done} == {file.name for file in folder.iterdir()} - {"asked"}


def _open(ground: Ground) -> Any:
    return ground.value("SELECT count(*) FROM jobs_job WHERE told_at IS NULL")
