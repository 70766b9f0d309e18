"""What the first page of an organization shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Count, Q, Sum
from django.db.models.functions import Now

from apps.core.actors import Actor
from apps.datasets.models import Dataset
from apps.deployments.models import Deployment
from apps.jobs.models import Job
from apps.logs.models import CallRecord
from apps.registry.models import ModelVersion
from apps.usage.models import UsageEvent

RECENT_JOBS = 6
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Overview:
    """The main job's steps, how far this organization is, and how its endpoints did in the last day.

    What the actor may not read is None.
    """

    datasets: int | None
    model_versions: int | None
    deployments: int | None
    predictions: int | None
    calls: int | None
    failed_calls: int | None
    recent_jobs: list[Job] | None

    @property
    def is_empty(self) -> bool:
        return not (self.datasets or self.model_versions or self.deployments)

    @property
    def shows_work(self) -> bool:
        """Whether the actor may see anything of data, models and deployments."""
        return not (self.datasets is None and self.model_versions is None and self.deployments is None)

    @property
    def failure_share(self) -> float | None:
        return self.failed_calls / self.calls if self.calls and self.failed_calls is not None else None


def overview(actor: Actor) -> Overview:
    calls = _calls() if actor.can("calls.read") else {"all": None, "failed": None}
    return Overview(
        datasets=Dataset.objects.count() if actor.can("datasets.read") else None,
        model_versions=ModelVersion.objects.count() if actor.can("models.read") else None,
        deployments=Deployment.objects.count() if actor.can("deployments.read") else None,
        predictions=_predictions() if actor.can("usage.read") else None,
        calls=calls["all"],
        failed_calls=calls["failed"],
        recent_jobs=list(Job.objects.order_by("-id")[:RECENT_JOBS]) if actor.can("jobs.read") else None,
    )


def _calls() -> dict[str, int]:
    rows = CallRecord.objects.filter(occurred_at__gt=Now() - DAY)
    return rows.aggregate(all=Count("id"), failed=Count("id", filter=Q(status__gte=400)))


def _predictions() -> int:
    rows = UsageEvent.objects.filter(meter="predictions", occurred_at__gt=Now() - DAY)
    return rows.aggregate(sum=Sum("quantity"))["sum"] or 0
