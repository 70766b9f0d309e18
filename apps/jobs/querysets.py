from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Self

from django.db import connection
from django.db.models import DateTimeField, ExpressionWrapper, F, Q
from django.db.models.functions import Now

from apps.core.tenancy import TenantQuerySet
from apps.jobs.enums import ACTIVE, FINISHED, WAITING, Status

if TYPE_CHECKING:
    from apps.jobs.dispatch import Claim
    from apps.jobs.models import Job

# By then the handler was asked to stop, and its process was ended.
OVERDUE_AFTER = timedelta(minutes=1)
READY = Q(status__in=WAITING, ready_at__isnull=False)
DEAD_SET = Q(status=Status.DEAD, discarded_at=None)
_ends_at = ExpressionWrapper(F("started_at") + F("time_limit_s") * timedelta(seconds=1), DateTimeField())


def stuck() -> Q:
    """What runs without a lease, or long after its time limit: the sweeper or its worker does not do its part."""
    is_overdue = Q(heartbeat_at__gt=_ends_at + OVERDUE_AFTER)
    return Q(status=Status.RUNNING) & (Q(lease_until__lt=Now()) | is_overdue)


class JobQuerySet(TenantQuerySet):
    def insert(self, job: Job, *, run_at: datetime | None, is_ready: bool) -> None:
        """Write a new job as `save` does, by a statement that is written once. It may run at once without `run_at`."""
        job.claim()
        fields, sql = _insert_statement(self.model)
        values = [field.get_db_prep_save(getattr(job, field.attname), connection) for field in fields]
        with connection.cursor() as cursor:
            cursor.execute(sql, [*values, run_at, is_ready])
            job.created_at, job.run_at, job.ready_at = cursor.fetchone()
        job._state.adding, job._state.db = False, connection.alias

    def active(self) -> Self:
        return self.filter(status__in=ACTIVE)

    def finished(self) -> Self:
        return self.filter(status__in=FINISHED)

    def dead(self) -> Self:
        """The dead set: what nobody has retried or discarded."""
        return self.filter(DEAD_SET)

    def held_by(self, claim: Claim) -> Self:
        """The claimed job, for as long as it belongs to that worker's attempt."""
        return self.filter(pk=claim.job_id, attempt=claim.attempt, worker=claim.worker, status=Status.RUNNING)

    def tagged(self, tag: str) -> Self:
        return self.filter(tags__tag=tag)


@cache
def _insert_statement(model: type[Job]) -> tuple[list[Any], str]:
    """The columns that a new job brings along, and what writes them; its times are the database's."""
    fields = [one for one in model._meta.concrete_fields if one.attname not in ("created_at", "run_at", "ready_at")]
    columns = ", ".join(str(one.column) for one in fields)
    places = ", ".join(["%s"] * len(fields))
    sql = f"""
        INSERT INTO jobs_job ({columns}, created_at, run_at, ready_at)
        VALUES (
            {places}, statement_timestamp(), coalesce(%s, statement_timestamp()),
            CASE WHEN %s THEN statement_timestamp() END
        )
        RETURNING created_at, run_at, ready_at
    """  # noqa: S608 - of the model's own columns
    return fields, sql
