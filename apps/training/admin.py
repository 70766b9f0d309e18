from __future__ import annotations

from django.contrib import admin

from apps.core.admin import ConsoleAdmin
from apps.training.models import TrainingRun, Trial


@admin.register(TrainingRun)
class TrainingRunAdmin(ConsoleAdmin):
    list_display = ["name", "organization", "job_status", "task", "folds", "error", "created_at"]
    list_filter = ["job__status", "task"]
    search_fields = ["name", "organization__slug", "job__error_code"]

    @admin.display(description="status", ordering="job__status")
    def job_status(self, run: TrainingRun) -> str:
        return run.status

    @admin.display(ordering="job__error_code")
    def error(self, run: TrainingRun) -> str:
        return run.job.error_code


@admin.register(Trial)
class TrialAdmin(ConsoleAdmin):
    list_display = ["algorithm", "run", "organization", "status", "rank", "fit_seconds", "error_code", "created_at"]
    list_filter = ["status", "algorithm"]
    search_fields = ["organization__slug", "error_code"]
