"""How much of the shared workers each organization has, as expressions over its jobs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import (
    Case,
    Count,
    F,
    FloatField,
    IntegerField,
    JSONField,
    Min,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Coalesce, JSONObject, Now, NullIf

from apps.console.tenants.figures import FAILED_JOB, number, of_tenant
from apps.jobs.enums import FINISHED, OUTSIDE, Status
from apps.jobs.models import Job
from apps.jobs.querysets import DEAD_SET, READY
from apps.organizations.plans import PLANS

HOUR = timedelta(hours=1)


def with_load(organizations: QuerySet[Any]) -> QuerySet[Any]:
    """Each organization with what it runs on our workers, what stands ready, and how the last hour ended."""
    return organizations.annotate(
        limit=_limit(),
        running_count=number(of_tenant(Job, status=Status.RUNNING).exclude(queue=OUTSIDE)),
        ready_count=number(of_tenant(Job).filter(READY).exclude(queue=OUTSIDE)),
        oldest_ready_at=_oldest_ready(),
        dead_count=number(of_tenant(Job).filter(DEAD_SET)),
        ended=_ended(),
    ).annotate(
        ended_count=Coalesce(Cast(KT("ended__all"), IntegerField()), 0),
        failed_count=Coalesce(Cast(KT("ended__failed"), IntegerField()), 0),
        failure_share=Cast(KT("ended__failed"), FloatField()) / NullIf(Cast(KT("ended__all"), FloatField()), 0.0),
    )


def _limit() -> Case:
    plans = [When(plan=plan.name, then=Value(plan.jobs_at_once)) for plan in PLANS.values()]
    return Case(*plans, default=Value(0))


def _oldest_ready() -> Subquery:
    rows = of_tenant(Job).filter(READY).exclude(queue=OUTSIDE).values("organization")
    return Subquery(rows.annotate(oldest=Min("ready_at")).values("oldest"))


def _ended() -> Subquery:
    """What ended within an hour, and how much of it badly, in one pass."""
    rows = of_tenant(Job, status__in=FINISHED, finished_at__gte=Now() - HOUR).values("organization")
    sums = JSONObject(all=Count("pk"), failed=Count("pk", filter=Q(status__in=FAILED_JOB)))
    return Subquery(rows.annotate(sums=sums).values("sums"), output_field=JSONField())


def is_full() -> Q:
    """Whether it runs all that its plan lets it, and more stands ready."""
    return Q(running_count__gte=F("limit"), ready_count__gt=0)
