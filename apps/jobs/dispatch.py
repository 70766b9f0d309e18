"""Finding work before its organization is known, through the functions that may look across organizations."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection

from apps.organizations.plans import PLANS

NOBODY = UUID(int=0)
LIMITS = json.dumps({plan.name: plan.jobs_at_once for plan in PLANS.values()})

# Work may begin before the disk knows of the claim: if that gets lost in a crash, the job waits again and its worker is
# refused. One message, which PostgreSQL takes for one transaction.
CLAIM = """
SELECT set_config('synchronous_commit', 'off', true);
SELECT * FROM jobs_claim(%s, %s, %s, %s, %s, %s)
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that is this worker's until its lease ends, with what is needed to run it.

    `taken_at` is the monotonic clock's. The attempt and its worker together are nobody else's, even if PostgreSQL
    crashed and forgot the claim.
    """

    job_id: UUID
    organization_id: UUID
    attempt: int
    kind: str
    input: dict[str, Any]
    time_limit_s: int
    request_id: str
    worker: str
    taken_at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class Found:
    """An attempt that somebody has to look after."""

    job_id: UUID
    organization_id: UUID
    attempt: int


class Taker:
    """Takes jobs for one worker. Organizations take turns; one that `only_idle` serves runs nothing in these queues."""

    def __init__(self, queues: Sequence[str], worker: str, *, only_idle: bool = False) -> None:
        self.queues, self.worker, self.only_idle = list(queues), worker, only_idle
        self._served_last = NOBODY

    def claim(self) -> Claim | None:
        """The next job, whose attempt is nobody else's."""
        with connection.cursor() as cursor:
            cursor.execute(CLAIM, self._arguments(self.queues))
            cursor.nextset()  # from the setting's answer to the claim's
            row = cursor.fetchone()
        return self._claim(row) if row else None

    def succeed_and_claim(self, done: Claim, result: dict[str, Any] | None, *, go_on: bool) -> Succeeded | None:
        """End `done` with its result and take the next job, in one transaction; None when `done` is not ours to end."""
        what = [done.job_id, done.attempt, None if result is None else json.dumps(result)]
        taken = self._arguments(self.queues if go_on else [])
        sql = "SELECT * FROM jobs_succeed_and_claim(%s, %s, %s, %s, %s, %s, %s, %s, %s)"
        has_succeeded, rung, *row = _row(sql, [*what, *taken])
        return Succeeded(self._claim(row) if row[0] else None, rung) if has_succeeded else None

    def _arguments(self, queues: list[str]) -> list[Any]:
        return [queues, self.worker, settings.JOB_LEASE_SECONDS, self._served_last, LIMITS, self.only_idle]

    def _claim(self, row: Sequence[Any]) -> Claim:
        job_id, organization_id, attempt, kind, input, time_limit_s, request_id = row
        self._served_last = organization_id
        return Claim(job_id, organization_id, attempt, kind, json.loads(input), time_limit_s, request_id, self.worker)


@dataclass(frozen=True, slots=True)
class Succeeded:
    """What came of ending a job: the next one, and the bells to ring for jobs that became ready by it."""

    next: Claim | None
    rung: list[str]


def beat(worker: str, attempts: dict[UUID, int]) -> dict[UUID, bool]:
    """Keep the leases of a worker's attempts. Those that are still its own, and whether somebody asked them to stop."""
    arguments = [list(attempts), list(attempts.values()), worker, settings.JOB_LEASE_SECONDS]
    return dict(_rows("SELECT * FROM jobs_beat(%s, %s::integer[], %s, %s)", arguments))


def sign_on(worker: str, queues: Sequence[str], slots: int, busy: int) -> None:
    """Tell that a worker is alive."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO jobs_worker (name, queues, slots, busy) VALUES (%s, %s, %s, %s)
            ON CONFLICT (name) DO UPDATE SET
                queues = excluded.queues, slots = excluded.slots, busy = excluded.busy,
                heartbeat_at = statement_timestamp()
            """,
            [worker, json.dumps(list(queues)), slots, busy],
        )


def sign_off(worker: str) -> None:
    """Tell that a worker has ended."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM jobs_worker WHERE name = %s", [worker])


def lose(worker: str) -> None:
    """Tell that a worker died: its jobs go back at the sweeper's next round."""
    _row("SELECT jobs_lose(%s)", [worker])
    sign_off(worker)


def expired(limit: int = 500) -> list[Found]:
    """Jobs whose worker has not been heard of until its lease ended."""
    return [Found(*row) for row in _rows("SELECT * FROM jobs_expired(%s)", [limit])]


def doomed(limit: int = 500) -> list[Found]:
    """Jobs that wait for one that ended badly."""
    return [Found(*row) for row in _rows("SELECT * FROM jobs_doomed(%s)", [limit])]


def promote() -> list[str]:
    """Make ready what has become due; the bells to ring for it."""
    return [name for (name,) in _rows("SELECT jobs_promote()")]


def settle(job_id: UUID) -> list[str]:
    """Free what waited for a job that succeeded, doom it otherwise; the bells to ring for what became ready."""
    return [name for (name,) in _rows("SELECT jobs_settle(%s)", [job_id])]


def untold() -> list[UUID]:
    """Organizations with jobs whose end was not told yet."""
    return [organization_id for (organization_id,) in _rows("SELECT jobs_untold()")]


def _row(sql: str, arguments: Sequence[Any]) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql, arguments)
        return cursor.fetchone()


def _rows(sql: str, arguments: Sequence[Any] = ()) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, arguments)
        return cursor.fetchall()
