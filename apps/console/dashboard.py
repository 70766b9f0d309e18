"""The first page of the operator's console: what runs, what waits, what failed, across all organizations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import redis
from django.db.models import Count, F, Min, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from apps.accounts.enums import MailStatus
from apps.accounts.models import Mail
from apps.console.data_rights.models import ErasureReceipt
from apps.console.status import queries as status
from apps.console.status import streams
from apps.console.status.probes import client
from apps.console.tenants import figures, links
from apps.core import dead_letters
from apps.deployments.models import Replica
from apps.jobs.enums import ACTIVE, OUTSIDE, WAITING, Status
from apps.jobs.models import Job
from apps.jobs.querysets import DEAD_SET, stuck
from apps.jobs.queues import drained as drained_queues
from apps.jobs.queues import unserved
from apps.notifications.models import Delivery
from apps.notifications.webhooks.enums import OPEN, DeliveryStatus
from apps.organizations.models import Organization
from apps.usage import checking

MOST = 5


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something on its way out: how much waits, since when, and how much was given up."""

    waiting: int
    oldest: datetime | None
    failed: int
    waiting_url: str
    failed_url: str


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Unfold's callback: adds what templates/admin/index.html shows."""
    now = timezone.now()
    return {
        **context,
        "title": "What runs, waits and fails",
        "organization_count": Organization.objects.count(),
        "queues": queues(),
        "drained": drained_queues(),
        "unserved": unserved(),
        **job_alarms(),
        "streams": waiting_events(),
        "failed_jobs": failed_jobs(now),
        "failed_jobs_url": links.failed_jobs(now - figures.DAY),
        "mails": mails(),
        "webhooks": webhooks(now),
        "erasures": erasures(),
        "replicas": replicas(),
        "components": status.states(now),
        "busiest": busiest(),
        "troubled": troubled(),
    }


def queues() -> list[dict[str, Any]]:
    """What each queue of ours has to do now, the one that waits longest first; `later` is not ready yet."""
    ready = Q(status__in=WAITING, ready_at__isnull=False)
    rows = Job.unscoped.using("console").filter(status__in=ACTIVE).exclude(queue=OUTSIDE).order_by().values("queue")
    counted = rows.annotate(
        running=Count("id", filter=Q(status=Status.RUNNING)),
        waiting=Count("id", filter=ready),
        later=Count("id", filter=Q(status__in=WAITING, ready_at__isnull=True)),
        oldest=Min("ready_at", filter=ready),
    )
    found: Any = counted.order_by(F("oldest").asc(nulls_last=True), "queue")
    return [{**row, "url": links.queue(row["queue"])} for row in found]


def job_alarms() -> dict[str, Any]:
    """What no worker will end by itself: the dead set, and running jobs whose lease is over."""
    rows = Job.unscoped.using("console").order_by()
    return {
        "dead_count": rows.filter(DEAD_SET).count(),
        "dead_url": links.dead_jobs(),
        "stuck_count": rows.filter(stuck()).count(),
        "stuck_url": links.stuck_jobs(),
    }


def waiting_events() -> dict[str, Any]:
    """What waits for the sink, how much was refused, and what the ledger's last check found; or that Redis is away."""
    try:
        checked = checking.last_check()
        waiting = [
            {"stream": stream, "count": count, "age_s": age_s}
            for stream, (count, age_s) in streams.waiting(client()).items()
        ]
        return {
            "waiting": [one for one in waiting if one["count"]],
            "is_filling": streams.is_filling(client()),
            "dead_count": dead_letters.count(client()),
            "differences": checked["differences"] if checked else 0,
        }
    except redis.RedisError:
        return {"is_away": True}


def failed_jobs(now: datetime) -> list[Job]:
    """The newest of the last 24 hours."""
    rows = Job.unscoped.using("console").filter(status__in=figures.FAILED_JOB, finished_at__gte=now - figures.DAY)
    return list(rows.select_related("organization").order_by("-finished_at")[:MOST])


def mails() -> Waiting:
    found = Mail.objects.order_by().aggregate(
        waiting=Count("id", filter=Q(status=MailStatus.WAITING)),
        oldest=Min("created_at", filter=Q(status=MailStatus.WAITING)),
        failed=Count("id", filter=Q(status=MailStatus.FAILED)),
    )
    urls = [links.rows(Mail, status__exact=one.value) for one in (MailStatus.WAITING, MailStatus.FAILED)]
    return Waiting(**found, waiting_url=urls[0], failed_url=urls[1])


def webhooks(now: datetime) -> Waiting:
    """Deliveries under way, and those that were given up within a day."""
    failed = Q(status=DeliveryStatus.FAILED, finished_at__gte=now - figures.DAY)
    rows = Delivery.unscoped.using("console").filter(Q(status__in=OPEN) | failed).order_by()
    found = rows.aggregate(
        waiting=Count("id", filter=Q(status__in=OPEN)),
        oldest=Min("created_at", filter=Q(status__in=OPEN)),
        failed=Count("id", filter=failed),
    )
    waiting_url = links.rows(Delivery, status__in=",".join(OPEN))
    return Waiting(**found, waiting_url=waiting_url, failed_url=links.failed_deliveries(now - figures.DAY))


def erasures() -> Waiting:
    """Erasures that were begun and are not done, and those of them that found something left."""
    found = ErasureReceipt.objects.filter(erased_at__isnull=True).aggregate(
        waiting=Count("id"), oldest=Min("begun_at"), failed=Count("id", filter=~Q(problem=""))
    )
    url = links.rows(ErasureReceipt, erased_at__isnull=True)
    return Waiting(**found, waiting_url=url, failed_url=url)


def replicas() -> list[dict[str, Any]]:
    rows = Replica.unscoped.using("console").order_by().values("status").annotate(number=Count("id"))
    return [{**row, "url": links.rows(Replica, status__exact=row["status"])} for row in rows.order_by("status")]


def busiest() -> list[Any]:
    """The organizations that spent most in 30 days, and among equals those with most calls."""
    rows = _organizations().order_by(figures.by_usage("cost_micro_usd").desc(), figures.by_usage("calls").desc(), "pk")
    return [_linked(row) for row in rows[:MOST] if row.usage]


def troubled() -> list[Any]:
    """The organizations with most failures within a day."""
    failures = F("failed_job_count") + F("failed_call_count") + F("failed_delivery_count")
    rows = _organizations().filter(figures.with_failures()).annotate(failures=failures)
    return [_linked(row) for row in rows.order_by("-failures", "pk")[:MOST]]


def _organizations() -> QuerySet[Any]:
    return figures.with_figures(Organization.objects.using("console"))


def _linked(row: Any) -> Any:
    row.url = links.page(row)
    return row
