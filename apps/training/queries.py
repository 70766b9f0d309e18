"""Reads for the screens of training runs."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.conf import settings
from django.db.models import Count, Prefetch, QuerySet
from django.http import QueryDict

from apps.core import charts
from apps.datasets.models import DatasetVersion
from apps.organizations import labels
from apps.registry.enums import MetricName
from apps.training.models import TrainingRun, Trial


def trainable_versions() -> QuerySet[DatasetVersion]:
    return DatasetVersion.objects.ready().select_related("dataset").order_by("-id")


def version_chosen(text: str) -> DatasetVersion | None:
    """The ready dataset version whose id is `text`, if there is one."""
    version_id = _uuid(text)
    return trainable_versions().filter(pk=version_id).first() if version_id else None


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def target_choices(version: DatasetVersion | None) -> list[tuple[str, str]]:
    """The columns of a version."""
    if version is None:
        return [("", "Choose a dataset version first")]
    columns = version.columns.values_list("name", "kind")
    return [("", "Choose a column"), *((name, f"{name} ({kind})") for name, kind in columns)]


def runs_with_best_trial() -> QuerySet[TrainingRun]:
    """Each run with its job, dataset and model version, and in `best_trials` the trial that won."""
    best = Trial.objects.filter(rank=1).prefetch_related("scores")
    return TrainingRun.objects.with_context().prefetch_related(Prefetch("trials", queryset=best, to_attr="best_trials"))


def filtered(parameters: QueryDict) -> QuerySet[TrainingRun]:
    """The runs that the page's address asks for."""
    runs = runs_with_best_trial()
    if status := parameters.get("status"):
        runs = runs.filter(job__status=status)
    if dataset := parameters.get("dataset"):
        runs = runs.filter(dataset_version__dataset=_uuid(dataset))
    return labels.in_project(runs, parameters.get("project", ""))


def status_counts() -> list[tuple[str, str, int]]:
    """How many runs there are in each status, for the filter."""
    counted = TrainingRun.objects.order_by("job__status").values_list("job__status").annotate(Count("id"))
    return [(status, status.capitalize(), number) for status, number in counted]


def leaderboard(run: TrainingRun) -> list[Trial]:
    """The run's trials with their scores: the ranked ones first, then those under way, the baseline last."""
    trials = list(run.trials.prefetch_related("scores"))
    return sorted(trials, key=lambda trial: (trial.is_baseline, trial.rank or len(trials), trial.position))


def metrics_of(trials: Sequence[Trial]) -> list[MetricName]:
    """The metrics that the trials were scored by, the one that decides first."""
    scored = next((trial for trial in trials if trial.primary_score), None)
    return [MetricName(score.metric) for score in scored.scores.all()] if scored else []


def leaderboard_chart(trials: Sequence[Trial]) -> charts.Comparison | None:
    """The candidates' deciding score with its 95 % interval, against the baseline; None before the first score."""
    scored = [(trial, score) for trial in trials if (score := trial.primary_score)]
    candidates = [
        charts.Measured(str(trial), score.mean, score.margin) for trial, score in scored if not trial.is_baseline
    ]
    if not candidates:
        return None
    metric = MetricName(scored[0][1].metric)
    baseline = next((charts.Measured(str(trial), score.mean) for trial, score in scored if trial.is_baseline), None)
    return charts.comparison(
        metric.label,
        candidates,
        value_name=metric.label,
        reference=baseline,
        lower_is_better=metric.lower_is_better,
    )


def chart_note(metrics: Sequence[MetricName]) -> str:
    """How to read the chart of the metric that decides."""
    better = "lower" if metrics and metrics[0].lower_is_better else "higher"
    return f"mean over the folds with its 95 % interval; {better} is better"


def create_example() -> str:
    """The call that starts a run, to copy."""
    return f"""curl {settings.PUBLIC_URL}/api/v1/training-runs/ \\
  --header "Authorization: Bearer $MODELYARD_TOKEN" \\
  --json '{{"name": "churn", "dataset_version": "<id>", "target": "churned"}}'"""
