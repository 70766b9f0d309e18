"""Finding work before its organization is known, through the two functions that may look across organizations."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.db import connection


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that is this worker's until its lease ends."""

    job_id: UUID
    organization_id: UUID
    attempt: int


def claim(queue: str, worker: str) -> Claim | None:
    """Take the next job of `queue` that is due. Two workers never get the same attempt."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM jobs_claim(%s, %s, %s)", [queue, worker, settings.JOB_LEASE_SECONDS])
        row = cursor.fetchone()
    return Claim(*row) if row else None


def expired(limit: int = 500) -> list[Claim]:
    """Jobs whose worker has not been heard of until its lease ended."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM jobs_expired(%s)", [limit])
        return [Claim(*row) for row in cursor.fetchall()]


def due_queues() -> list[str]:
    """Queues with work that is due and that nobody has taken."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM jobs_due_queues()")
        return [name for (name,) in cursor.fetchall()]
