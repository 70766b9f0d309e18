"""One organization as the operator's page shows it, beyond the figures of the list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Count, Q, QuerySet

from apps.console.tenants import figures, links
from apps.core import charts
from apps.core.formatting import format_count, format_day_of_month
from apps.core.postgres.aggregates import TimeStep
from apps.jobs.models import Job
from apps.logs.models import CallRecord
from apps.notifications.models import Delivery
from apps.notifications.webhooks.enums import DeliveryStatus
from apps.organizations.models import Membership, Organization

DAYS = 30
MOST_MEMBERS = 20
MOST_FAILURES = 8
HEIGHT = 140


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that went wrong, and its page in the console."""

    at: datetime
    kind: str
    name: str
    reason: str
    url: str


@dataclass(frozen=True, slots=True)
class Day:
    """One day's bar of the plot; `failed_height` of it, at its foot, stands for the calls that failed."""

    label: str
    calls: int
    failed: int
    bar: charts.Bar

    @property
    def failed_height(self) -> float:
        return round(self.bar.height * self.failed / self.calls, 2) if self.calls else 0.0

    @property
    def failed_top(self) -> float:
        return round(self.bar.top + self.bar.height - self.failed_height, 2)


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls of 30 days: how many, how many of them failed, and both by day."""

    days: Sequence[Day]
    chart: charts.BarChart

    @property
    def number(self) -> int:
        return sum(day.calls for day in self.days)

    @property
    def failed(self) -> int:
        return sum(day.failed for day in self.days)


@dataclass(frozen=True, slots=True)
class Tenant:
    """What the page shows."""

    calls: Calls
    members: Sequence[Membership]
    failures: Sequence[Failure]


def tenant(organization: Organization, now: datetime) -> Tenant:
    members = _rows_of(Membership, organization).select_related("user").order_by("created_at")
    return Tenant(_calls(organization, now), list(members[:MOST_MEMBERS]), _last_failures(organization, now))


def _rows_of(model: Any, organization: Organization) -> QuerySet[Any]:
    rows: QuerySet[Any] = model.unscoped.using("console").filter(organization=organization).order_by()
    return rows


def _calls(organization: Organization, now: datetime) -> Calls:
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    days = [today - timedelta(days=ago) for ago in reversed(range(DAYS))]
    rows = _rows_of(CallRecord, organization).filter(occurred_at__gte=days[0])
    failed = Count("id", filter=Q(status__gte=figures.FAILED_CALL))
    by_day = rows.values(day=TimeStep(figures.DAY, "occurred_at")).annotate(calls=Count("id"), failed=failed)
    found = {row["day"]: (row["calls"], row["failed"]) for row in by_day}
    items = [(format_day_of_month(day), *found.get(day, (0, 0))) for day in days]
    bars = [(label, float(calls)) for label, calls, _ in items]
    chart = charts.bar_chart("Calls by day", bars, value_name="Calls", text=format_count, height=HEIGHT)
    return Calls([Day(*item, bar) for item, bar in zip(items, chart.bars, strict=True)], chart)


def _last_failures(organization: Organization, now: datetime) -> list[Failure]:
    """The newest failures of a month, whatever failed."""
    since = now - figures.MONTH
    found = [*_failed_jobs(organization, since), *_failed_calls(organization, since), *_failed_deliveries(organization)]
    return sorted(found, key=lambda failure: failure.at, reverse=True)[:MOST_FAILURES]


def _failed_jobs(organization: Organization, since: datetime) -> list[Failure]:
    rows = _rows_of(Job, organization).filter(status__in=figures.FAILED_JOB, finished_at__gte=since)
    newest = rows.order_by("-finished_at")[:MOST_FAILURES]
    return [Failure(job.finished_at, "Job", job.label, job.error_message, links.page(job)) for job in newest]


def _failed_calls(organization: Organization, since: datetime) -> list[Failure]:
    rows = _rows_of(CallRecord, organization).filter(status__gte=figures.FAILED_CALL, occurred_at__gte=since)
    newest = rows.order_by("-occurred_at")[:MOST_FAILURES]
    return [Failure(call.occurred_at, "Call", str(call), call.status_text, links.page(call)) for call in newest]


def _failed_deliveries(organization: Organization) -> list[Failure]:
    rows = _rows_of(Delivery, organization).filter(status=DeliveryStatus.FAILED, finished_at__isnull=False)
    newest = rows.select_related("message", "endpoint").order_by("-finished_at")[:MOST_FAILURES]
    return [Failure(one.finished_at, "Webhook", str(one), "Given up", links.page(one)) for one in newest]
