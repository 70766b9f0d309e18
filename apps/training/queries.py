"""Reads for the screens of training runs."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db.models import Count, Prefetch, QuerySet

from apps.core import charts
from apps.datasets.models import DatasetVersion
from apps.registry.enums import MetricName
from apps.training.models import TrainingRun, Trial, TrialScore

# No model learns from these: an identifier names its row, a text is not read yet, a date is not a label.
UNUSUAL_TARGET_KINDS = ("id", "text", "date", "datetime")


def trainable_versions() -> QuerySet[DatasetVersion]:
    return DatasetVersion.objects.ready().select_related("dataset").order_by("-id")


def version_chosen(text: str) -> DatasetVersion | None:
    """The ready dataset version whose id is `text`, if there is one."""
    try:
        return trainable_versions().filter(pk=UUID(text)).first()
    except ValueError:
        return None


def target_choices(version: DatasetVersion | None) -> list[tuple[str, str]]:
    """The columns of a version, the last one first, because tables often end with what they are about."""
    if version is None:
        return [("", "Choose a dataset version first")]
    columns = version.columns.values_list("name", "kind")
    return [("", "Choose a column"), *((name, f"{name} ({kind})") for name, kind in columns)]


def runs_with_best_trial() -> QuerySet[TrainingRun]:
    """Each run with its job, dataset and model version, and in `best_trials` the trial that won."""
    best = Trial.objects.filter(rank=1).prefetch_related("scores")
    return TrainingRun.objects.with_context().prefetch_related(Prefetch("trials", queryset=best, to_attr="best_trials"))


def status_counts() -> list[tuple[str, str, int]]:
    """How many runs there are in each status, for the filter."""
    counted = TrainingRun.objects.order_by("job__status").values_list("job__status").annotate(Count("id"))
    return [(status, status.capitalize(), number) for status, number in counted]


def leaderboard(run: TrainingRun) -> list[Trial]:
    """The run's trials with their scores: the ranked ones first, then those under way, the baseline last."""
    trials = list(run.trials.prefetch_related("scores"))
    return sorted(trials, key=lambda trial: (trial.is_baseline, trial.rank or len(trials), trial.position))


def leaderboard_chart(trials: Sequence[Trial]) -> charts.Comparison | None:
    """The candidates' deciding score with its 95 % interval, against the baseline; None before the first score."""
    scored = [(trial, score) for trial in trials if (score := trial.primary_score)]
    candidates = [
        charts.Measured(str(trial), score.mean, _half_width(score)) for trial, score in scored if not trial.is_baseline
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


def _half_width(score: TrialScore) -> float:
    return (score.high - score.low) / 2
