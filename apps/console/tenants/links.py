"""Where the rows behind a number are listed in the console."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.db.models import Model
from django.urls import reverse

from apps.console.tenants import figures
from apps.core.postgres.aggregates import EPOCH
from apps.deployments.models import Deployment
from apps.jobs.admin import DEAD, STUCK
from apps.jobs.enums import ACTIVE
from apps.jobs.models import Job
from apps.logs.models import CallRecord
from apps.notifications.models import Delivery
from apps.notifications.webhooks.enums import DeliveryStatus
from apps.organizations.models import Membership, Organization
from apps.usage.models import UsageEvent
from apps.usage.queries import SUMMED


def rows(model: type[Model], organization: Organization | None = None, **conditions: Any) -> str:
    """The console's list of `model`, of one organization or of all, narrowed as Django's lookups say."""
    meta = model._meta
    if organization is not None:
        conditions = {"organization__id__exact": organization.pk, **conditions}
    return f"{reverse(f'admin:{meta.app_label}_{meta.model_name}_changelist')}?{urlencode(conditions)}"


def page(row: Model) -> str:
    """The row's own page in the console."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def members(organization: Organization) -> str:
    return rows(Membership, organization)


def endpoints(organization: Organization | None = None) -> str:
    return rows(Deployment, organization)


def events(organization: Organization, now: datetime, **conditions: Any) -> str:
    """The ledger's rows that the sums of 30 days are made of: those of whole half hours."""
    start = now - figures.MONTH
    since = start + (EPOCH - start) % SUMMED
    return rows(UsageEvent, organization, occurred_at__gte=since.isoformat(), **conditions)


def failed_calls(since: datetime, organization: Organization | None = None) -> str:
    return rows(CallRecord, organization, status__gte=figures.FAILED_CALL, occurred_at__gte=since.isoformat())


def failed_jobs(since: datetime, organization: Organization | None = None) -> str:
    return rows(Job, organization, status__in=",".join(figures.FAILED_JOB), finished_at__gte=since.isoformat())


def queue(name: str) -> str:
    """What runs or waits in a queue."""
    return rows(Job, queue__exact=name, status__in=",".join(ACTIVE))


def dead_jobs(organization: Organization | None = None) -> str:
    return rows(Job, organization, question=DEAD)


def stuck_jobs() -> str:
    return rows(Job, question=STUCK)


def failed_deliveries(since: datetime, organization: Organization | None = None) -> str:
    return rows(Delivery, organization, status__exact=DeliveryStatus.FAILED.value, finished_at__gte=since.isoformat())
