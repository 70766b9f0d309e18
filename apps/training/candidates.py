"""The algorithms a run compares, with the settings each is run with. Every one is deterministic given its seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.linear_model import LogisticRegression, Ridge

from apps.registry.signature import Task

EXTRA_TREES = 200
EXTRA_TREES_LEAVES = 1500  # bounds the exported model to about 20 MB however many rows there are


class Algorithm(StrEnum):
    LOGISTIC_REGRESSION = "logistic_regression"
    RIDGE = "ridge"
    LIGHTGBM = "lightgbm"
    EXTRA_TREES = "extra_trees"
    BASELINE = "baseline"


@dataclass(frozen=True, slots=True)
class Settings:
    """What an estimator is built for. `threads` bounds its parallelism and changes its answers by rounding only."""

    task: Task
    row_count: int
    threads: int = 1
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """One algorithm: how to build it, and whether its numbers need the same scale."""

    algorithm: Algorithm
    tasks: frozenset[Task]
    build: Callable[[Settings], Any]
    standardize: bool = False


def _logistic_regression(settings: Settings) -> LogisticRegression:
    return LogisticRegression(C=1.0, max_iter=2000, random_state=settings.seed)


def _ridge(settings: Settings) -> Ridge:
    return Ridge(alpha=1.0, random_state=settings.seed)


def _lightgbm(settings: Settings) -> LGBMClassifier | LGBMRegressor:
    estimator = LGBMRegressor if settings.task is Task.REGRESSION else LGBMClassifier
    return estimator(
        n_estimators=200,
        learning_rate=0.05,
        num_leaves=31,
        min_child_samples=min(20, max(5, settings.row_count // 50)),
        colsample_bytree=0.8,
        reg_lambda=1.0,
        random_state=settings.seed,
        n_jobs=settings.threads,
        deterministic=True,
        force_col_wise=True,
        verbose=-1,
    )


def _extra_trees(settings: Settings) -> ExtraTreesClassifier | ExtraTreesRegressor:
    is_regression = settings.task is Task.REGRESSION
    estimator = ExtraTreesRegressor if is_regression else ExtraTreesClassifier
    return estimator(
        n_estimators=EXTRA_TREES,
        min_samples_leaf=2,
        max_features=1.0 if is_regression else "sqrt",
        max_leaf_nodes=EXTRA_TREES_LEAVES if settings.row_count > EXTRA_TREES_LEAVES else None,
        random_state=settings.seed,
        n_jobs=settings.threads,
    )


def _baseline(settings: Settings) -> DummyClassifier | DummyRegressor:
    """Answers the same for every row: how often each class occurs, or the mean."""
    return DummyRegressor() if settings.task is Task.REGRESSION else DummyClassifier(strategy="prior")


CLASSIFICATION = frozenset({Task.BINARY, Task.MULTICLASS})
REGRESSION = frozenset({Task.REGRESSION})
CANDIDATES: Mapping[Algorithm, Candidate] = {
    candidate.algorithm: candidate
    for candidate in (
        Candidate(Algorithm.LOGISTIC_REGRESSION, CLASSIFICATION, _logistic_regression, standardize=True),
        Candidate(Algorithm.RIDGE, REGRESSION, _ridge, standardize=True),
        Candidate(Algorithm.LIGHTGBM, CLASSIFICATION | REGRESSION, _lightgbm),
        Candidate(Algorithm.EXTRA_TREES, CLASSIFICATION | REGRESSION, _extra_trees),
        Candidate(Algorithm.BASELINE, CLASSIFICATION | REGRESSION, _baseline),
    )
}


def candidates_for(task: Task) -> list[Candidate]:
    """The candidates that can do the task, the baseline last."""
    return [candidate for candidate in CANDIDATES.values() if task in candidate.tasks]
