"""What an attempt at a run writes down while it works. Each write is fenced: a stale attempt's is refused."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.db import transaction
from django.utils import timezone

from apps.core import live
from apps.core.ids import derived_uuid7
from apps.datasets.models import Column
from apps.jobs.running import RunningJob
from apps.training.candidates import Algorithm, Candidate
from apps.training.crossvalidation import Score, Scores, rank
from apps.training.enums import TrialStatus
from apps.training.models import PlannedColumn, TrainingRun, Trial, TrialScore
from apps.training.planning import Plan
from apps.usage import services as usage
from apps.usage.meters import TRAINING_MS


@contextmanager
def fenced(job: RunningJob, run: TrainingRun) -> Iterator[None]:
    """A transaction of the attempt that owns the job; its end is told to the run's pages."""
    with transaction.atomic():
        job.fenced()
        yield
        live.publish(f"training-run:{run.pk}")


def record_plan(job: RunningJob, run: TrainingRun, plan: Plan, columns: Iterable[Column]) -> None:
    """Note the task, the folds, and what becomes of each column."""
    reasons = {dropped.name: dropped.reason for dropped in plan.dropped}
    rows = [
        PlannedColumn(
            run=run,
            position=column.position,
            name=column.name,
            kind=column.kind,
            is_used=column.name not in reasons,
            reason=reasons.get(column.name, ""),
        )
        for column in columns
        if column.name != plan.target
    ]
    with fenced(job, run):
        TrainingRun.objects.filter(pk=run.pk).update(task=plan.task, folds=plan.folds)
        PlannedColumn.objects.filter(run=run).delete()
        PlannedColumn.objects.bulk_create(rows)


def open_trials(job: RunningJob, run: TrainingRun, candidates: Iterable[Candidate]) -> list[Trial]:
    """The run's trials, one for each candidate. Those that an earlier attempt finished keep their scores."""
    with fenced(job, run):
        for position, candidate in enumerate(candidates):
            Trial.objects.get_or_create(run=run, algorithm=candidate.algorithm, defaults={"position": position})
        Trial.objects.filter(run=run).unfinished().update(
            status=TrialStatus.PENDING, rank=None, error_code="", error_message=""
        )
    return list(run.trials.prefetch_related("scores"))


def begin_trial(job: RunningJob, run: TrainingRun, trial: Trial) -> None:
    with fenced(job, run):
        Trial.objects.filter(pk=trial.pk).update(status=TrialStatus.RUNNING)


def finish_trial(job: RunningJob, run: TrainingRun, trial: Trial, scores: Scores, found: Iterable[Scores]) -> None:
    """Keep a trial's scores, rank it among all `found` so far, meter its time."""
    with fenced(job, run):
        TrialScore.objects.filter(trial=trial).delete()
        TrialScore.objects.bulk_create(
            _score_row(trial, position, score) for position, score in enumerate(scores.metrics)
        )
        Trial.objects.filter(pk=trial.pk).update(status=TrialStatus.SUCCEEDED, fit_seconds=scores.fit_seconds)
        for place, ranked in enumerate(rank(found), start=1):
            Trial.objects.filter(run=run, algorithm=ranked.algorithm).update(rank=place)
        _meter(run, trial, scores)


def _score_row(trial: Trial, position: int, score: Score) -> TrialScore:
    return TrialScore(
        trial=trial,
        position=position,
        metric=score.metric,
        folds=list(score.folds),
        mean=score.mean,
        std=score.std,
        low=score.low,
        high=score.high,
    )


def _meter(run: TrainingRun, trial: Trial, scores: Scores) -> None:
    dimensions = {"model": run.model_name, "training_run": str(run.pk), "algorithm": str(scores.algorithm)}
    now = timezone.now()
    usage.record(
        TRAINING_MS.name,
        math.ceil(scores.fit_seconds * 1000),
        event_id=derived_uuid7(now, f"trial:{trial.pk}"),
        dimensions=dimensions,
        occurred_at=now,
    )


def fail_trial(job: RunningJob, run: TrainingRun, trial: Trial, code: str, message: str) -> None:
    with fenced(job, run):
        Trial.objects.filter(pk=trial.pk).update(status=TrialStatus.FAILED, error_code=code, error_message=message)


def stored_scores(trial: Trial) -> Scores:
    """The scores of a finished trial, as cross-validation gave them."""
    metrics = tuple(
        Score(row.metric, tuple(row.folds), row.mean, row.std, row.low, row.high) for row in trial.scores.all()
    )
    return Scores(Algorithm(trial.algorithm), metrics, trial.fit_seconds or 0.0)
