from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.console.tenants import links
from apps.console.tenants.admin import linked
from apps.console.work import figures
from apps.console.work.models import OrganizationLoad
from apps.core.admin import ConsoleAdmin
from apps.core.formatting import format_count, format_percent
from apps.core.templatetags.console import ago
from apps.jobs import kinds
from apps.jobs.enums import WAITING, Status
from apps.jobs.models import Job


class LoadFilter(SimpleListFilter):
    title = "question"
    parameter_name = "question"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("full", "At its plan's limit"), ("waiting", "With jobs that stand ready"), ("dead", "With dead jobs")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case "full":
                return queryset.filter(figures.is_full())
            case "waiting":
                return queryset.filter(ready_count__gt=0)
            case "dead":
                return queryset.filter(dead_count__gt=0)
            case _:
                return queryset


@admin.register(OrganizationLoad)
class OrganizationLoadAdmin(ConsoleAdmin):
    """How the organizations share the workers; each number leads to its jobs."""

    list_display = ["name", "plan", "running", "ready", "oldest_ready", "ended", "failure_rate", "dead"]
    list_filter = [LoadFilter, "plan"]
    search_fields = ["name", "slug"]
    list_before_template = "admin/jobs/load.html"

    def get_ordering(self, request: HttpRequest) -> list[str]:
        return ["-running_count", "-ready_count", "name"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return figures.with_load(self.model.objects.using("console")).order_by(*self.get_ordering(request))

    def tenant_of(self, row: Any) -> UUID:
        return row.pk

    @admin.display(description="Running, of its plan's", ordering="running_count")
    def running(self, row: Any) -> SafeString | str:
        running = self._jobs(row, row.running_count, status__exact=Status.RUNNING.value)
        return format_html("<span>{} of {}</span>", running, format_count(row.limit))

    @admin.display(description="Ready", ordering="ready_count")
    def ready(self, row: Any) -> SafeString | str:
        return self._jobs(row, row.ready_count, status__in=",".join(WAITING), ready_at__isnull=False)

    @admin.display(description="Oldest ready", ordering="oldest_ready_at")
    def oldest_ready(self, row: Any) -> SafeString | str:
        return ago(row.oldest_ready_at)

    @admin.display(description="Ended, 1 h", ordering="ended_count")
    def ended(self, row: Any) -> str:
        return format_count(row.ended_count)

    @admin.display(description="Failed of those", ordering="failure_share")
    def failure_rate(self, row: Any) -> str:
        return format_percent(row.failure_share)

    @admin.display(description="Dead", ordering="dead_count")
    def dead(self, row: Any) -> SafeString | str:
        return linked(row.dead_count, links.dead_jobs(row))

    def _jobs(self, row: Any, count: int, **conditions: Any) -> SafeString | str:
        """Their number, which leads to those of our queues."""
        return linked(count, links.rows(Job, row, queue__in=",".join(kinds.queues()), **conditions)) if count else "0"
