"""A run inside its job: what it writes down, how it fails, and that killing it neither repeats nor doubles anything."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import numpy as np
import onnxruntime
import pytest
from django.db.models.functions import Now

from apps.core import storage
from apps.core.ids import derived_uuid7
from apps.jobs import sweeping
from apps.jobs.errors import JobCancelled, LeaseLost
from apps.jobs.models import Job
from apps.jobs.running import RunningJob
from apps.registry import services as registry
from apps.registry.models import ModelVersion
from apps.training import bookkeeping, crossvalidation, execution
from apps.training.candidates import CANDIDATES, Algorithm
from apps.training.models import TrainingRun, Trial
from apps.usage.models import UsageEvent
from tests.factories import tables
from tests.working import claim_of, run_all

pytestmark = pytest.mark.django_db


class Killed(BaseException):
    """The process dies here: nothing after it runs, not even what would write down the failure."""


def scores_of(run: TrainingRun) -> dict[str, dict[str, float]]:
    trials = run.trials.prefetch_related("scores")
    return {trial.algorithm: {score.metric: score.mean for score in trial.scores.all()} for trial in trials}


def run_killed(run: TrainingRun) -> None:
    with pytest.raises(Killed):
        run_all("training")
    Job.objects.filter(pk=run.job_id).update(lease_until=Now() - timedelta(seconds=1))
    sweeping.sweep()
    Job.objects.filter(pk=run.job_id).update(run_at=Now())


def test_a_classification_ends_as_a_registered_version(trained: TrainingRun) -> None:
    version = ModelVersion.objects.get(training_run_id=trained.pk)
    assert trained.model_version == version
    assert (trained.task, version.model.name, version.number, version.target) == ("multiclass", "garden", 1, "species")
    assert trained.job.result == {"model_version": str(version.pk)}
    assert [column["name"] for column in version.signature["inputs"]] == ["height", "width", "colour"]
    assert version.signature["outputs"][1]["labels"] == ["fern", "iris", "rose"]
    assert version.compared_row_count == 60
    assert sum(row.share for row in version.importances.all()) == pytest.approx(1)
    assert {metric.name: metric.value for metric in version.metrics.all()} == scores_of(trained)["logistic_regression"]


def test_the_artifact_answers_with_the_species(trained: TrainingRun) -> None:
    with storage.local_copy(trained.model_version.artifact_path) as path:
        session = onnxruntime.InferenceSession(path)
    row = {
        "height": np.array([[8.6]], np.float32),
        "width": np.array([[2.5]], np.float32),
        "colour": np.array([["red"]], object),
    }
    assert session.run(["label"], row)[0].tolist() == ["rose"]


def test_a_regression_compares_every_candidate_with_the_baseline(houses: Any, start: Any) -> None:
    run = start(houses, "price", name="prices", candidates=["linear", "lightgbm", "extra_trees"])
    run_all("training")
    run.refresh_from_db()
    assert (run.status, run.task) == ("succeeded", "regression")
    trials = list(run.trials.order_by("rank").prefetch_related("scores"))
    assert {trial.algorithm for trial in trials} == {"baseline", "ridge", "lightgbm", "extra_trees"}
    assert trials[-1].is_baseline
    errors = [trial.primary_score.mean for trial in trials[:-1]]
    assert errors == sorted(errors)
    assert errors[0] < trials[-1].primary_score.mean
    assert all(len(score.folds) == 3 for trial in trials for score in trial.scores.all())
    assert run.model_version.algorithm == trials[0].algorithm


def test_columns_that_are_left_out_say_why(trained: TrainingRun) -> None:
    columns = {column.name: column for column in trained.columns.all()}
    assert {name for name, column in columns.items() if column.is_used} == {"height", "width", "colour"}
    assert "identifies a row" in columns["plant_id"].reason
    assert columns["place"].reason == "has the same value in every row"


def test_progress_tells_the_candidate_and_the_fold(plants: Any, start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[float, str]] = []
    monkeypatch.setattr(RunningJob, "progress", lambda job, share, step="": told.append((share, step)))
    start(plants, "species")
    run_all("training")
    assert "Logistic regression, fold 2 of 3" in [step for _, step in told]
    assert [share for share, _ in told] == sorted(share for share, _ in told)


def test_training_time_is_metered_once_for_each_trial(trained: TrainingRun) -> None:
    events = UsageEvent.objects.filter(meter="training_ms")
    names = [f"trial:{trial.pk}" for trial in trained.trials.all()]
    assert {event.pk for event in events} <= {
        derived_uuid7(event.occurred_at, name) for event in events for name in names
    }
    assert len(events) == len(names)
    assert all(event.quantity >= 1 and event.dimensions["model"] == "garden" for event in events)


def test_data_that_cannot_be_learnt_from_ends_the_job_with_the_reason(
    in_acme: Any, actor: Any, start: Any, no_heartbeat: None
) -> None:
    rare = "height,species\n" + "".join(f"{n}.5,{'rose' if n else 'fern'}\n" for n in range(40))
    run = start(tables.ready_version("rare", rare, actor), "species")
    run_all("training")
    run.refresh_from_db()
    assert (run.status, run.job.error_code) == ("failed", "class_too_small")
    assert "fern" in run.job.error_message
    assert not ModelVersion.objects.exists()


def test_a_model_name_taken_meanwhile_for_another_task_ends_the_job(trained: Any, houses: Any, start: Any) -> None:
    run = start(houses, "price")
    run_all("training")
    run.refresh_from_db()
    assert (run.status, run.job.error_code) == ("failed", "model_task_differs")


def test_one_candidate_that_cannot_learn_does_not_end_the_others(
    plants: Any, start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cross_validate(plan: Any, candidate: Any, *args: Any) -> Any:
        if candidate.algorithm is Algorithm.EXTRA_TREES:
            raise ValueError("too few leaves")
        return crossvalidation.cross_validate(plan, candidate, *args)

    monkeypatch.setattr(execution, "cross_validate", cross_validate)
    run = start(plants, "species", candidates=["linear", "extra_trees"])
    run_all("training")
    run.refresh_from_db()
    failed = run.trials.get(algorithm="extra_trees")
    assert (run.status, failed.status, failed.error_message) == ("succeeded", "failed", "too few leaves")


def test_a_run_without_any_candidate_that_learns_fails_with_the_first_reason(
    plants: Any, start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cross_validate(plan: Any, candidate: Any, *args: Any) -> Any:
        if candidate.algorithm is not Algorithm.BASELINE:
            raise ValueError("does not converge")
        return crossvalidation.cross_validate(plan, candidate, *args)

    monkeypatch.setattr(execution, "cross_validate", cross_validate)
    run = start(plants, "species")
    run_all("training")
    run.refresh_from_db()
    assert (run.status, run.job.error_code) == ("failed", "no_candidate_succeeded")
    assert "does not converge" in run.job.error_message


def test_cancelling_stops_before_the_next_candidate_and_keeps_what_is_done(
    plants: Any, start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cancelled_after(job: Any, run: Any, trial: Trial, *args: Any) -> None:
        finish(job, run, trial, *args)
        Job.objects.filter(pk=job.id).update(cancel_requested_at=Now())

    finish = bookkeeping.finish_trial
    monkeypatch.setattr(bookkeeping, "finish_trial", cancelled_after)
    run = start(plants, "species")
    run_all("training")
    run.refresh_from_db()
    statuses = {trial.algorithm: trial.status for trial in run.trials.all()}
    assert (run.status, statuses) == ("cancelled", {"baseline": "succeeded", "logistic_regression": "skipped"})


def test_a_killed_run_resumes_after_the_trials_it_had_finished(
    plants: Any, start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: Counter[str] = Counter()

    def cross_validate(plan: Any, candidate: Any, *args: Any) -> Any:
        tried[candidate.algorithm] += 1
        if tried == Counter(baseline=1, logistic_regression=1, extra_trees=1):
            raise Killed
        return crossvalidation.cross_validate(plan, candidate, *args)

    monkeypatch.setattr(execution, "cross_validate", cross_validate)
    run = start(plants, "species", candidates=["linear", "extra_trees"])
    run_killed(run)
    assert run_all("training") == 1
    run.refresh_from_db()
    assert (run.status, run.job.attempt) == ("succeeded", 2)
    assert tried == {"baseline": 1, "logistic_regression": 1, "extra_trees": 2}
    assert UsageEvent.objects.filter(meter="training_ms").count() == 3


@pytest.mark.parametrize("moment", ["store_artifact", "register_version"])
def test_p2_a_run_killed_while_it_registers_still_registers_one_version(
    plants: Any, start: Any, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    real = getattr(registry, moment)

    def die_after(*args: Any, **kwargs: Any) -> Any:
        real(*args, **kwargs)
        raise Killed

    run = start(plants, "species")
    with monkeypatch.context() as patched:
        patched.setattr(registry, moment, die_after)
        run_killed(run)
    assert not ModelVersion.objects.exists()
    assert run_all("training") == 1
    run.refresh_from_db()
    assert ModelVersion.objects.get() == run.model_version
    assert run.model_version.number == 1


def test_p2_a_stale_attempt_cannot_write_its_trial(plants: Any, start: Any) -> None:
    run = start(plants, "species")
    Job.objects.filter(pk=run.job_id).update(status="running", attempt=2, lease_until=Now() + timedelta(minutes=1))
    run.refresh_from_db()
    with pytest.raises(LeaseLost):
        bookkeeping.open_trials(RunningJob(claim_of(run.job, attempt=1)), run, [CANDIDATES[Algorithm.BASELINE]])
    assert not run.trials.exists()


def test_an_attempt_that_was_asked_to_stop_writes_nothing_more(plants: Any, start: Any) -> None:
    run = start(plants, "species")
    Job.objects.filter(pk=run.job_id).update(
        status="running", attempt=1, lease_until=Now() + timedelta(minutes=1), cancel_requested_at=Now()
    )
    run.refresh_from_db()
    with pytest.raises(JobCancelled):
        bookkeeping.open_trials(RunningJob(claim_of(run.job, attempt=1)), run, [CANDIDATES[Algorithm.BASELINE]])
