"""Scores are of rows the model has not seen, the same for the same seed, and beat the baseline on real data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats
from sklearn import metrics

from apps.datasets.enums import ColumnKind
from apps.registry.signature import Task
from apps.training.candidates import CANDIDATES, Algorithm, candidates_for
from apps.training.crossvalidation import choose, cross_validate, measure, rank, summarize
from apps.training.fitting import fit
from apps.training.planning import plan
from tests.training import tables


@pytest.mark.parametrize(
    ("name", "task", "metric", "least"),
    [
        ("breast_cancer", Task.BINARY, "roc_auc", 0.98),
        ("wine", Task.MULTICLASS, "accuracy", 0.93),
        ("iris", Task.MULTICLASS, "macro_f1", 0.9),
        ("diabetes", Task.REGRESSION, "r2", 0.3),
    ],
)
def test_every_candidate_learns_the_classic_tables(
    tmp_path: Path, name: str, task: Task, metric: str, least: float
) -> None:
    frame, kinds = tables.real(name, tmp_path)
    found = plan(frame, "target", kinds, folds=3)
    assert found.task is task
    scores = [cross_validate(found, candidate) for candidate in candidates_for(task)]
    *learners, baseline = scores
    assert baseline.algorithm is Algorithm.BASELINE
    assert len(learners) == 3
    for learner in learners:
        assert learner[metric].mean > max(least, baseline[metric].mean)
        assert learner.primary.mean < baseline.primary.mean, "the deciding metrics are losses"
        assert len(learner.primary.folds) == 3
    assert choose(scores).primary.mean == min(score.primary.mean for score in scores)
    assert rank(scores)[-1] is baseline


def test_the_same_seed_gives_the_same_scores_whatever_the_threads() -> None:
    frame, kinds = tables.mixed(120)
    found = plan(tables.without_other_targets(frame, "stars"), "stars", kinds, folds=2)
    for candidate in candidates_for(found.task):
        one, again, other = (cross_validate(found, candidate, seed=seed) for seed in (7, 7, 8))
        two_threads = cross_validate(found, candidate, threads=2, seed=7)
        assert one.metrics == again.metrics
        assert one.metrics != other.metrics or candidate.algorithm is Algorithm.BASELINE
        assert [score.mean for score in two_threads.metrics] == pytest.approx([score.mean for score in one.metrics])


def test_a_candidate_learns_nothing_from_the_rows_it_is_scored_on() -> None:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"noise": rng.normal(size=300), "target": rng.integers(0, 2, 300)})
    found = plan(frame, "target", {"noise": ColumnKind.FLOAT, "target": ColumnKind.INTEGER})
    scores = cross_validate(found, CANDIDATES[Algorithm.EXTRA_TREES])
    assert abs(scores["roc_auc"].mean - 0.5) < 0.1


def test_progress_is_told_before_the_first_fold_and_after_each() -> None:
    frame, kinds = tables.mixed(100)
    found = plan(tables.without_other_targets(frame, "price"), "price", kinds, folds=3)
    told: list[tuple[int, int]] = []
    cross_validate(found, CANDIDATES[Algorithm.RIDGE], on_fold=lambda done, folds: told.append((done, folds)))
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_what_on_fold_raises_stops_the_work() -> None:
    class Cancelled(Exception):
        pass

    def cancel(done: int, folds: int) -> None:
        raise Cancelled

    frame, kinds = tables.mixed(100)
    found = plan(tables.without_other_targets(frame, "price"), "price", kinds)
    with pytest.raises(Cancelled):
        cross_validate(found, CANDIDATES[Algorithm.RIDGE], on_fold=cancel)


def test_measures_are_those_of_scikit_learn() -> None:
    frame, kinds = tables.mixed(200)
    found = plan(tables.without_other_targets(frame, "grade"), "grade", kinds)
    predicted = fit(found, CANDIDATES[Algorithm.LOGISTIC_REGRESSION]).predict(found.frame)
    scores = measure(found, found.y, predicted)
    chosen = predicted.argmax(axis=1)
    assert scores["accuracy"] == metrics.accuracy_score(found.y, chosen)
    assert scores["roc_auc"] == metrics.roc_auc_score(found.y, predicted[:, 1])
    assert scores["log_loss"] == pytest.approx(-np.log(predicted[np.arange(200), found.y]).mean())


def test_the_interval_is_students_t_with_correlated_folds() -> None:
    folds = [0.7, 0.8, 0.9, 0.8, 0.8]
    score = summarize("accuracy", folds)
    margin = stats.t.ppf(0.975, 4) * np.std(folds, ddof=1) * np.sqrt(1 / 5 + 1 / 4)
    assert (score.mean, score.std) == (pytest.approx(0.8), pytest.approx(np.std(folds, ddof=1)))
    assert (score.low, score.high) == (pytest.approx(0.8 - margin), pytest.approx(0.8 + margin))
    assert summarize("accuracy", [0.9, 1.0]).high == 1
    assert summarize("rmse", [0.1, 5.0]).low == 0


def test_importance_is_told_by_column_and_sums_to_one() -> None:
    frame, kinds = tables.mixed()
    found = plan(tables.without_other_targets(frame, "price"), "price", kinds)
    for candidate in candidates_for(found.task)[:-1]:
        importance = fit(found, candidate).importance
        assert set(importance) == {feature.name for feature in found.features}
        assert sum(importance.values()) == pytest.approx(1)
        assert next(iter(importance)) == "size in m²"
