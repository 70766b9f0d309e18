"""Work in the operator's console: jobs of all organizations, the queues, and the processes that serve them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.db.models import Count, Min, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce, Now
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html
from unfold.decorators import display

from apps.core import tenancy
from apps.core.admin import REASON_LENGTH, ConsoleAdmin, reason_given
from apps.core.formatting import ABSENT, format_count
from apps.core.templatetags.console import ago
from apps.jobs import dead_set, queues, services
from apps.jobs.dead_set import Done
from apps.jobs.enums import OUTSIDE, WAITING, Status
from apps.jobs.models import Job, Queue, Worker
from apps.jobs.querysets import DEAD_SET, READY, stuck

STATUS_COLORS = {
    "running": "info",
    "retrying": "warning",
    "succeeded": "success",
    "failed": "danger",
    "dead": "danger",
}
STUCK, DEAD, LATE = "stuck", "dead", "late"
LATE_AFTER = timedelta(minutes=5)


class JobQuestionFilter(SimpleListFilter):
    """The questions that an operator comes with."""

    title = "question"
    parameter_name = "question"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(STUCK, "Stuck leases"), (DEAD, "Dead set"), (LATE, "Ready for 5 minutes")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case "stuck":
                return queryset.filter(stuck())
            case "dead":
                return queryset.filter(DEAD_SET)
            case "late":
                return queryset.filter(status__in=WAITING, ready_at__lt=Now() - LATE_AFTER)
            case _:
                return queryset


@admin.register(Job)
class JobAdmin(ConsoleAdmin):
    list_display = ["label", "organization", "work", "state", "attempts", "worker", "lease", "created"]
    list_filter = [JobQuestionFilter, "status", "queue", "kind"]
    search_fields = ["label", "worker", "error_code", "request_id"]
    actions = ["cancel", "retry", "retry_dead", "discard_dead", "give_back"]

    @display(description="Status", ordering="status", label=STATUS_COLORS)
    def state(self, row: Job) -> tuple[str, str]:
        text = row.get_status_display()
        return row.status, f"{text}, discarded" if row.discarded_at else text

    @display(description="Attempt", ordering="attempt", header=True)
    def attempts(self, row: Job) -> tuple[str, str]:
        return f"{row.attempt} of {row.max_attempts}", row.error_code

    @display(description="Kind and queue", ordering="kind", header=True)
    def work(self, row: Job) -> tuple[str, str]:
        return row.kind, row.queue

    @admin.display(description="Lease", ordering="lease_until")
    def lease(self, row: Job) -> str:
        """Whether it lasts, or since when it is over."""
        if not row.lease_until:
            return ABSENT
        return format_html("over {}", ago(row.lease_until)) if row.lease_until < timezone.now() else "kept"

    @admin.display(description="Submitted", ordering="created_at")
    def created(self, row: Job) -> str:
        return ago(row.created_at)

    @admin.action(description="Cancel")
    def cancel(self, request: HttpRequest, jobs: QuerySet[Any]) -> None:
        self.each(request, jobs, services.cancel_job)

    @admin.action(description="Run once more")
    def retry(self, request: HttpRequest, jobs: QuerySet[Any]) -> None:
        self.each(request, jobs, services.retry_job)

    @admin.action(description="Run the dead ones once more")
    def retry_dead(self, request: HttpRequest, jobs: QuerySet[Any]) -> None:
        self._for_dead(request, jobs, dead_set.retry_dead, "run once more")

    @admin.action(description="Discard the dead ones")
    def discard_dead(self, request: HttpRequest, jobs: QuerySet[Any]) -> None:
        self._for_dead(request, jobs, dead_set.discard_dead, "discarded")

    @admin.action(description="Take from the worker and run anew")
    def give_back(self, request: HttpRequest, jobs: QuerySet[Any]) -> None:
        self.each(request, jobs, services.give_back)

    def _for_dead(self, request: HttpRequest, jobs: QuerySet[Any], act: Callable[..., Done], done: str) -> None:
        """Do it organization by organization, with one line in the trail of each."""
        count = remaining = 0
        for organization_id in list(jobs.order_by().values_list("organization", flat=True).distinct()):
            chosen = list(jobs.filter(DEAD_SET, organization=organization_id).values_list("pk", flat=True))
            with tenancy.scope(organization_id):
                found = act(Job.objects.filter(pk__in=chosen), by=self.operator(request))
            count, remaining = count + found.count, remaining + found.remaining
        left = f"; {format_count(remaining)} are left, do it again" if remaining else ""
        self.message_user(request, f"{format_count(count)} dead jobs are {done}{left}.")


def _in_queue(*of: Q, **conditions: Any) -> QuerySet[Any]:
    """The jobs of the queue that the outer query is at."""
    return Job.unscoped.filter(*of, queue=OuterRef("pk"), **conditions).order_by().values("queue")


def _number(rows: QuerySet[Any]) -> Coalesce:
    return Coalesce(Subquery(rows.annotate(number=Count("pk")).values("number")), 0)


@admin.register(Queue)
class QueueAdmin(ConsoleAdmin):
    """Every queue with what stands in it. A drained one gives its workers nothing more."""

    list_display = ["name", "state", "running", "ready", "oldest_ready", "later", "workers", "because", "drained"]
    ordering = ["name"]
    actions = ["drain", "resume"]
    list_before_template = "admin/jobs/queues.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request).using("console")
        serving = Worker.objects.filter(heartbeat_at__gt=Now() - queues.SILENT_AFTER, queues__has_key=OuterRef("pk"))
        return rows.annotate(
            running_count=_number(_in_queue(status=Status.RUNNING)),
            ready_count=_number(_in_queue(READY)),
            later_count=_number(_in_queue(status__in=WAITING, ready_at__isnull=True)),
            oldest_ready_at=Subquery(_in_queue(READY).annotate(oldest=Min("ready_at")).values("oldest")),
            worker_count=_number(serving.order_by().annotate(all=Value(1)).values("all")),
        )

    @display(description="State", ordering="drained_at", label={"open": "success", "drained": "warning"})
    def state(self, row: Any) -> tuple[str, str]:
        return ("drained", "Drained") if row.drained_at else ("open", "Open")

    @admin.display(description="Running", ordering="running_count")
    def running(self, row: Any) -> str:
        return format_count(row.running_count)

    @admin.display(description="Ready", ordering="ready_count")
    def ready(self, row: Any) -> str:
        return format_count(row.ready_count)

    @admin.display(description="Oldest ready", ordering="oldest_ready_at")
    def oldest_ready(self, row: Any) -> str:
        return ago(row.oldest_ready_at)

    @admin.display(description="Later", ordering="later_count")
    def later(self, row: Any) -> str:
        return format_count(row.later_count)

    @admin.display(description="Workers alive", ordering="worker_count")
    def workers(self, row: Any) -> str:
        return "of organizations" if row.pk == OUTSIDE else format_count(row.worker_count)

    @admin.display(description="Why drained")
    def because(self, row: Any) -> str:
        return row.drained_because or ABSENT

    @admin.display(description="Drained", ordering="drained_at")
    def drained(self, row: Any) -> str:
        return ago(row.drained_at)

    @admin.action(description="Drain")
    def drain(self, request: HttpRequest, rows: QuerySet[Queue]) -> HttpResponse | None:
        """Asks for the reason, which everybody reads."""
        because = reason_given(request)
        if not because:
            return self.ask(request, "admin/jobs/drain.html", "Drain?", chosen=rows, length=REASON_LENGTH)
        for queue in rows:
            self.attempt(request, queue, partial(queues.drain, queue, because=because))
        return None

    @admin.action(description="Resume")
    def resume(self, request: HttpRequest, rows: QuerySet[Queue]) -> None:
        for queue in rows:
            self.attempt(request, queue, partial(queues.resume, queue))


@admin.register(Worker)
class WorkerAdmin(ConsoleAdmin):
    """Our processes that run jobs, as they last told of themselves. One that ended says so and is gone."""

    list_display = ["name", "state", "serves", "jobs", "heard", "started"]
    search_fields = ["name"]
    ordering = ["name"]

    @display(description="State", ordering="heartbeat_at", label={"alive": "success", "silent": "danger"})
    def state(self, row: Worker) -> tuple[str, str]:
        is_alive = timezone.now() - row.heartbeat_at < queues.SILENT_AFTER
        return ("alive", "Alive") if is_alive else ("silent", "Silent")

    @admin.display(description="Queues")
    def serves(self, row: Worker) -> str:
        return ", ".join(row.queues)

    @admin.display(description="Jobs", ordering="busy")
    def jobs(self, row: Worker) -> str:
        return f"{row.busy} of {row.slots}"

    @admin.display(description="Heard of", ordering="heartbeat_at")
    def heard(self, row: Worker) -> str:
        return ago(row.heartbeat_at)

    @admin.display(description="Started", ordering="started_at")
    def started(self, row: Worker) -> str:
        return ago(row.started_at)
