"""What the console tells of each organization, as expressions over the rows behind it.

A list computes them for the rows that it shows, and the one that it is sorted by for all. Each is reached by an index
that begins with the organization, so none costs more for what other organizations did.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import BigIntegerField, Count, JSONField, Model, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.expressions import Combinable
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Coalesce, Greatest, JSONObject, Now

from apps.audit.models import AuditEntry
from apps.deployments.enums import DeploymentStatus
from apps.deployments.models import Deployment
from apps.jobs.enums import Status
from apps.jobs.models import Job
from apps.logs.models import CallRecord
from apps.notifications.models import Delivery
from apps.notifications.webhooks.enums import DeliveryStatus
from apps.organizations.models import Membership
from apps.usage import meters
from apps.usage.models import UsageSum

DAY = timedelta(days=1)
MONTH = timedelta(days=30)

FAILED_JOB = (Status.FAILED, Status.DEAD)
FAILING_ENDPOINT = (DeploymentStatus.DEGRADED, DeploymentStatus.FAILED)
# Below 500 the caller was refused; from there on it was us.
FAILED_CALL = 500
PEOPLE = ("user", "token")


def of_tenant(model: type[Model], **conditions: Any) -> QuerySet[Any]:
    """The rows of the organization that the outer query is at."""
    rows: QuerySet[Any] = model.unscoped.filter(organization=OuterRef("pk"), **conditions)  # type: ignore[attr-defined]
    return rows.order_by()


def number(rows: QuerySet[Any]) -> Coalesce:
    return Coalesce(Subquery(rows.values("organization").annotate(count=Count("pk")).values("count")), 0)


def _newest(rows: QuerySet[Any], by: str, at: str) -> Subquery:
    """The last row's time by the end of an index: a maximum would read all of them."""
    return Subquery(rows.order_by(f"-{by}").values(at)[:1])


FAILED_JOBS = {"status__in": FAILED_JOB, "finished_at__gte": Now() - DAY}
FAILED_CALLS = {"status__gte": FAILED_CALL, "occurred_at__gte": Now() - DAY}
FAILED_DELIVERIES = {"status": DeliveryStatus.FAILED, "finished_at__gte": Now() - DAY}
FAILING_ENDPOINTS = {"status__in": FAILING_ENDPOINT}


def usage() -> Subquery:
    """Calls answered, training time, bytes and money of 30 days, from the sums of the ledger, in one pass."""
    rows = of_tenant(UsageSum, at__gte=Now() - MONTH).values("organization")
    sums = JSONObject(
        calls=Sum("event_count", filter=Q(meter=meters.PREDICTIONS.name)),
        training_ms=Sum("quantity", filter=Q(meter=meters.TRAINING_MS.name)),
        stored_bytes=Sum("quantity", filter=Q(meter=meters.STORED_BYTES.name)),
        cost_micro_usd=Sum("cost_micro_usd"),
    )
    return Subquery(rows.annotate(sums=sums).values("sums"), output_field=JSONField())


def by_usage(name: str) -> Coalesce:
    """To sort by one of the sums; who used nothing is at the end with zero."""
    return Coalesce(Cast(KT(f"usage__{name}"), BigIntegerField()), 0)


def last_activity() -> Combinable:
    """The last call, or the last thing that a member or a token did; the founding if there was nothing since."""
    done = of_tenant(AuditEntry, actor_kind__in=PEOPLE, operator_id=None)
    called = of_tenant(CallRecord)
    return Greatest("created_at", _newest(done, "id", "created_at"), _newest(called, "occurred_at", "occurred_at"))


def with_figures(organizations: QuerySet[Any]) -> QuerySet[Any]:
    """Each organization with its state, health and spend."""
    return organizations.annotate(
        member_count=number(of_tenant(Membership)),
        last_active_at=last_activity(),
        usage=usage(),
        failed_call_count=number(of_tenant(CallRecord, **FAILED_CALLS)),
        failed_job_count=number(of_tenant(Job, **FAILED_JOBS)),
        failed_delivery_count=number(of_tenant(Delivery, **FAILED_DELIVERIES)),
        ready_count=number(of_tenant(Deployment, status=DeploymentStatus.READY)),
        failing_count=number(of_tenant(Deployment, **FAILING_ENDPOINTS)),
    )


def with_failures() -> Q:
    """Whether anything of an organization failed within a day, or fails now."""
    failed = ((Job, FAILED_JOBS), (CallRecord, FAILED_CALLS), (Delivery, FAILED_DELIVERIES))
    return reduce(or_, (_among(model, conditions) for model, conditions in failed), failing())


def failing() -> Q:
    return _among(Deployment, FAILING_ENDPOINTS)


def _among(model: type[Model], conditions: dict[str, Any]) -> Q:
    # The set is read once. Asked by EXISTS, PostgreSQL would read the whole table for each organization that has none.
    return Q(pk__in=model.unscoped.filter(**conditions).order_by().values("organization"))  # type: ignore[attr-defined]


def idle_since(at: datetime) -> Q:
    """No call, and nobody did anything, since then."""
    return Q(last_active_at__lt=at)
