"""What the first page of an organization shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Count, Q, Sum
from django.db.models.functions import Now

from apps.datasets.models import Dataset
from apps.deployments.models import Deployment
from apps.jobs.models import Job
from apps.logs.models import CallRecord
from apps.registry.models import ModelVersion
from apps.usage.models import UsageEvent

RECENT_JOBS = 6


@dataclass(frozen=True, slots=True)
class Overview:
    """The main job's steps, how far this organization is, and how its endpoints did in the last day."""

    datasets: int
    model_versions: int
    deployments: int
    predictions: int
    calls: int
    failed_calls: int
    recent_jobs: list[Job]

    @property
    def is_empty(self) -> bool:
        return not (self.datasets or self.model_versions or self.deployments)

    @property
    def failure_share(self) -> float | None:
        return self.failed_calls / self.calls if self.calls else None


def overview() -> Overview:
    since = Now() - timedelta(days=1)
    calls = CallRecord.objects.filter(occurred_at__gt=since).aggregate(
        all=Count("id"), failed=Count("id", filter=Q(status__gte=400))
    )
    predictions = UsageEvent.objects.filter(meter="predictions", occurred_at__gt=since).aggregate(sum=Sum("quantity"))
    return Overview(
        datasets=Dataset.objects.count(),
        model_versions=ModelVersion.objects.count(),
        deployments=Deployment.objects.count(),
        predictions=predictions["sum"] or 0,
        calls=calls["all"],
        failed_calls=calls["failed"],
        recent_jobs=list(Job.objects.order_by("-id")[:RECENT_JOBS]),
    )
