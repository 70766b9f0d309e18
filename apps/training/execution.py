"""A training run inside its job: plan, compare the candidates, refit the best, export it, compare, register."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import polars as pl
from django.conf import settings
from lightgbm.basic import LightGBMError

from apps.core import storage
from apps.core.actors import SYSTEM
from apps.datasets.enums import ColumnKind
from apps.jobs.running import RunningJob
from apps.registry import services as registry
from apps.registry.enums import AlgorithmName
from apps.registry.signature import Task
from apps.training import bookkeeping, errors
from apps.training.candidates import CANDIDATES, Algorithm, candidates_for
from apps.training.candidates import Candidate as Learner
from apps.training.crossvalidation import Scores, choose, cross_validate
from apps.training.enums import Candidate, TrialStatus
from apps.training.export import Comparison, compare, export
from apps.training.fitting import Fitted, fit
from apps.training.models import TrainingRun, Trial
from apps.training.planning import Plan, plan

ALGORITHMS: Mapping[str, frozenset[Algorithm]] = {
    Candidate.LINEAR: frozenset({Algorithm.LOGISTIC_REGRESSION, Algorithm.RIDGE}),
    Candidate.LIGHTGBM: frozenset({Algorithm.LIGHTGBM}),
    Candidate.EXTRA_TREES: frozenset({Algorithm.EXTRA_TREES}),
}
# What estimators raise when they cannot learn from the data they are given; the other candidates still may.
CANNOT_LEARN = (ValueError, ArithmeticError, LightGBMError)
PLANNED, COMPARED = 0.03, 0.85
# Roughly how long each takes beside LightGBM, so that progress runs evenly.
COST: Mapping[Algorithm, float] = {
    Algorithm.BASELINE: 0.05,
    Algorithm.LOGISTIC_REGRESSION: 0.3,
    Algorithm.RIDGE: 0.1,
    Algorithm.LIGHTGBM: 1.0,
    Algorithm.EXTRA_TREES: 1.5,
}


def execute(job: RunningJob) -> None:
    """Run to the registered model version. Trials that an earlier attempt finished are not repeated."""
    run = TrainingRun.objects.select_related("dataset_version", "project").get(pk=job.input["run_id"])
    planned = _planned(job, run)
    best = Contest(job, run, planned).winner()
    job.progress(COMPARED, f"Fitting {_label(best.algorithm)} on all rows")
    fitted = fit(planned, CANDIDATES[best.algorithm], threads=settings.TRAINING_THREADS, seed=run.seed)
    job.progress(0.93, "Exporting to ONNX")
    onnx = export(fitted)
    job.progress(0.96, "Comparing the exported model with the trained one, row by row")
    comparison = compare(fitted, onnx)
    job.progress(0.99, "Registering the version")
    artifact = registry.store_artifact(onnx)
    with job.commit() as result:
        version = registry.register_version(_trained(run, fitted, best, artifact, comparison), by=SYSTEM)
        TrainingRun.objects.filter(pk=run.pk).update(model_version=version)
        result["model_version"] = str(version.pk)


def _planned(job: RunningJob, run: TrainingRun) -> Plan:
    """The plan for the run's table, written down. Raises `UntrainableData`, `ModelTaskDiffers`."""
    job.progress(0.0, "Reading the dataset")
    columns = list(run.dataset_version.columns.all())
    kinds = {column.name: ColumnKind(column.kind) for column in columns}
    with storage.local_copy(run.dataset_version.parquet_path) as path:
        frame = pl.read_parquet(path)
    planned = plan(frame, run.target, kinds, Task(run.task) if run.task else None, run.folds)
    registry.require_task(run.model_name, planned.task)
    bookkeeping.record_plan(job, run, planned, columns)
    job.log(
        f"Predicting {run.target} ({planned.task}) from {len(planned.features)} columns and {len(planned.frame)} rows",
        dropped_columns=len(planned.dropped),
        rows_without_target=planned.rows_without_target,
    )
    return planned


@dataclass
class Contest:
    """The candidates of one run, cross-validated one after the other on the same folds."""

    job: RunningJob
    run: TrainingRun
    plan: Plan
    found: list[Scores] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def winner(self) -> Scores:
        """The best candidate's scores. Raises `NoCandidateSucceeded`."""
        learners = [CANDIDATES[Algorithm.BASELINE], *self._learners()]
        trials = bookkeeping.open_trials(self.job, self.run, learners)
        self.found = [bookkeeping.stored_scores(trial) for trial in trials if trial.status == TrialStatus.SUCCEEDED]
        costs = [COST[Algorithm(trial.algorithm)] for trial in trials]
        for place, trial in enumerate(trials):
            if trial.status != TrialStatus.SUCCEEDED:
                self._compete(trial, sum(costs[:place]) / sum(costs), costs[place] / sum(costs))
        if all(scores.algorithm is Algorithm.BASELINE for scores in self.found):
            raise errors.NoCandidateSucceeded(reason=self.failures[0])
        return choose(self.found)

    def _learners(self) -> list[Learner]:
        wanted = frozenset[Algorithm]().union(*(ALGORITHMS[name] for name in self.run.candidates))
        return [candidate for candidate in candidates_for(self.plan.task) if candidate.algorithm in wanted]

    def _compete(self, trial: Trial, start: float, share: float) -> None:
        """Score one candidate; one that cannot learn from this data fails alone."""
        bookkeeping.begin_trial(self.job, self.run, trial)
        learner = CANDIDATES[Algorithm(trial.algorithm)]
        threads, seed = settings.TRAINING_THREADS, self.run.seed
        try:
            scores = cross_validate(self.plan, learner, self._on_fold(trial, start, share), threads, seed)
        except CANNOT_LEARN as error:
            self.failures.append(f"{trial}: {error}")
            self.job.log(f"{trial} cannot learn from this data: {error}", level="error")
            bookkeeping.fail_trial(self.job, self.run, trial, type(error).__name__, str(error))
            return
        self.found.append(scores)
        bookkeeping.finish_trial(self.job, self.run, trial, scores, self.found)
        self.job.log(f"{trial}: {scores.primary.metric} {scores.primary.mean:.4g}", fit_seconds=scores.fit_seconds)

    def _on_fold(self, trial: Trial, start: float, share: float) -> Callable[[int, int], None]:
        def tell(done: int, folds: int) -> None:
            contest = start + share * done / folds
            step = f"{trial}, fold {min(done + 1, folds)} of {folds}"
            self.job.progress(PLANNED + (COMPARED - PLANNED) * contest, step)

        return tell


def _label(algorithm: Algorithm) -> str:
    return str(AlgorithmName(algorithm).label)


def _trained(
    run: TrainingRun, fitted: Fitted, best: Scores, artifact: registry.Artifact, comparison: Comparison
) -> registry.TrainedModel:
    return registry.TrainedModel(
        model_name=run.model_name,
        task=fitted.plan.task,
        algorithm=best.algorithm,
        target=run.target,
        dataset_version=run.dataset_version,
        training_run_id=run.pk,
        artifact=artifact,
        signature=fitted.plan.signature().to_json(),
        metrics=[
            registry.Measurement(score.metric, score.mean, score.std, score.low, score.high) for score in best.metrics
        ],
        importances=fitted.importance,
        compared_row_count=comparison.rows,
        largest_difference=comparison.max_difference,
        project=run.project,
    )
