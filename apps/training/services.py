"""What people can do with training runs: start, cancel, retry."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from django.db import transaction

from apps.audit import services as audit
from apps.core import live
from apps.core.actors import Actor
from apps.datasets.models import Column, DatasetVersion
from apps.jobs import services as jobs
from apps.jobs.enums import Status
from apps.jobs.models import Job
from apps.notifications import services as notifications
from apps.organizations.models import Project
from apps.registry import services as registry
from apps.training import errors, refusals
from apps.training.enums import JOB_KIND, RUN_EVENTS, UNDER_WAY, UNPREDICTABLE_KINDS, Candidate, TrialStatus
from apps.training.models import TrainingRun, Trial
from apps.usage import services as usage
from apps.usage.meters import TRAINING_MS

SHOWN_COLUMNS = 8


@dataclass(frozen=True, slots=True)
class NewRun:
    """What is asked of a run. An empty `task` follows from the target, an empty `model_name` is the run's name."""

    name: str
    dataset_version: DatasetVersion
    target: str
    task: str = ""
    candidates: Collection[str] = tuple(Candidate.values)
    folds: int = 5
    seed: int = 0
    model_name: str = ""
    project: Project | None = None


@transaction.atomic
def create_run(new: NewRun, *, by: Actor) -> TrainingRun:
    """Start training.

    Raises `DatasetNotReady`, `TargetNotAColumn`, `ModelTaskDiffers`, `UntrainableData`, `QuotaExceeded`.
    """
    _require_trainable(new)
    usage.require_left(TRAINING_MS)
    run = TrainingRun(
        name=new.name,
        model_name=new.model_name or new.name,
        dataset_version=new.dataset_version,
        target=new.target,
        task=new.task,
        candidates=[name for name in Candidate.values if name in new.candidates],
        folds=new.folds,
        seed=new.seed,
        project=new.project,
    )
    run.job = jobs.submit_job(JOB_KIND, {"run_id": str(run.pk)}, by=by, label=f"Train {run.name}", subject=run)
    run.save()
    audit.record(
        by, "training_run.created", run, {"dataset_version": str(new.dataset_version.pk), "target": new.target}
    )
    live.publish("training-runs")
    return run


def _require_trainable(new: NewRun) -> None:
    version = new.dataset_version
    if not version.is_ready:
        raise errors.DatasetNotReady(
            field="dataset_version", number=version.number, dataset=version.dataset.name, status=version.status
        )
    _require_predictable(_target_column(new), version.row_count)
    if new.task:
        registry.require_task(new.model_name or new.name, new.task)


def _target_column(new: NewRun) -> Column:
    version = new.dataset_version
    columns = {column.name: column for column in version.columns.all()}
    if new.target not in columns:
        raise errors.TargetNotAColumn(
            field="target",
            target=new.target,
            number=version.number,
            dataset=version.dataset.name,
            columns=_listed(list(columns)),
        )
    return columns[new.target]


def _require_predictable(column: Column, row_count: int | None) -> None:
    """Refuse at once what planning would refuse in the job, as far as the column's statistics tell."""
    if column.missing_count == row_count:
        raise refusals.TargetAllNull(field="target", target=column.name)
    if column.kind in UNPREDICTABLE_KINDS:
        raise refusals.TargetNotPredictable(field="target", target=column.name, kind=column.kind)
    if column.distinct_count == 1:
        top = column.profile.get("top") or [{"value": column.minimum}]
        raise refusals.TargetConstant(field="target", target=column.name, value=repr(top[0]["value"]))


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:SHOWN_COLUMNS])
    return shown if len(names) <= SHOWN_COLUMNS else f"{shown} and {len(names) - SHOWN_COLUMNS} more"


def cancel_run(run: TrainingRun, *, by: Actor) -> TrainingRun:
    """Stop a waiting run at once, a running one after the fold it is in. Raises `JobAlreadyFinished`."""
    run.job = jobs.cancel_job(run.job, by=by)
    return run


def retry_run(run: TrainingRun, *, by: Actor) -> TrainingRun:
    """Run again what has not succeeded; finished trials are kept. Raises `JobNotRetryable`."""
    run.job = jobs.retry_job(run.job, by=by)
    return run


def close_run(job: Job) -> None:
    """Tell what became of the trials that the run's end left open, in the transaction that ends its job."""
    open_trials = Trial.objects.filter(run=job.subject_id, status__in=UNDER_WAY)
    open_trials.update(status=TrialStatus.SKIPPED)
    live.publish("training-runs")
    live.publish(f"training-run:{job.subject_id}")
    _tell_end(job)


def _tell_end(job: Job) -> None:
    event = RUN_EVENTS.get(Status(job.status))
    run = TrainingRun.objects.filter(job=job).first() if event else None
    if event and run:
        data = {"name": run.name, "job_id": str(job.pk), "error_code": job.error_code}
        version = str(run.model_version_id) if run.model_version_id else None
        told = {**data, "error_message": job.error_message, "model_version_id": version}
        notifications.notify(event, run, told, to=[job.created_by_id])
