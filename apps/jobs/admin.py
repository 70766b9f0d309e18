from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.core.admin import ConsoleAdmin
from apps.jobs import services
from apps.jobs.models import Job


@admin.register(Job)
class JobAdmin(ConsoleAdmin):
    list_display = ["label", "organization", "kind", "status", "attempt", "worker", "heartbeat_at", "created_at"]
    list_filter = ["status", "queue", "kind"]
    search_fields = ["label", "worker", "error_code", "request_id"]
    actions = ["cancel", "retry"]

    @admin.action(description="Cancel")
    def cancel(self, request: HttpRequest, jobs: QuerySet[Any]) -> None:
        self.each(request, jobs, services.cancel_job)

    @admin.action(description="Run once more")
    def retry(self, request: HttpRequest, jobs: QuerySet[Any]) -> None:
        self.each(request, jobs, services.retry_job)
