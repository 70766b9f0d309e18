"""How well a candidate predicts rows it has not seen: k-fold cross-validation, and the choice among candidates."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics
from sklearn.model_selection import KFold, StratifiedKFold

from apps.registry.signature import Task
from apps.training.candidates import Algorithm, Candidate
from apps.training.fitting import fit
from apps.training.planning import Plan

CONFIDENCE = 0.95
PRIMARY: Mapping[Task, str] = {Task.BINARY: "log_loss", Task.MULTICLASS: "log_loss", Task.REGRESSION: "rmse"}
LOWER_IS_BETTER = frozenset({"log_loss", "rmse", "mae"})
BOUNDS: Mapping[str, tuple[float, float]] = {
    "accuracy": (0, 1),
    "macro_f1": (0, 1),
    "roc_auc": (0, 1),
    "log_loss": (0, np.inf),
    "rmse": (0, np.inf),
    "mae": (0, np.inf),
    "r2": (-np.inf, 1),
}
OnFold = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Score:
    """One metric over the folds; [low, high] is its 95 % interval."""

    metric: str
    folds: tuple[float, ...]
    mean: float
    std: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Scores:
    """One candidate's scores, the metric that decides first; `fit_seconds` is the total time of its fits."""

    algorithm: Algorithm
    metrics: tuple[Score, ...]
    fit_seconds: float

    @property
    def primary(self) -> Score:
        return self.metrics[0]

    def __getitem__(self, metric: str) -> Score:
        return next(score for score in self.metrics if score.metric == metric)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def cross_validate(
    plan: Plan,
    candidate: Candidate,
    on_fold: OnFold | None = None,
    threads: int = 1,
    seed: int = 0,
) -> Scores:
    """Score the candidate on each of the plan's folds after learning, encoding included, from the others.

    `on_fold(done, folds)` is called before the first fold and after each; what it raises stops the work. Every
    candidate sees the same folds.
    """
    found: list[dict[str, float]] = []
    fit_seconds = 0.0
    if on_fold is not None:
        on_fold(0, plan.folds)
    for learn, check in _folds(plan, seed):
        started = time.perf_counter()
        fitted = fit(plan, candidate, learn, threads, seed)
        fit_seconds += time.perf_counter() - started
        found.append(measure(plan, plan.y[check], fitted.predict(plan.frame[check])))
        if on_fold is not None:
            on_fold(len(found), plan.folds)
    summaries = tuple(summarize(metric, [fold[metric] for fold in found]) for metric in found[0])
    return Scores(candidate.algorithm, summaries, fit_seconds)


def _folds(plan: Plan, seed: int) -> Iterable[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    splitter = StratifiedKFold if plan.is_classification else KFold
    return splitter(plan.folds, shuffle=True, random_state=seed).split(plan.y, plan.y)


def measure(plan: Plan, y: NDArray[Any], predicted: NDArray[np.float64]) -> dict[str, float]:
    """The metrics of the plan's task, the one that decides first."""
    if not plan.is_classification:
        values = predicted[:, 0]
        return {
            "rmse": float(metrics.root_mean_squared_error(y, values)),
            "mae": float(metrics.mean_absolute_error(y, values)),
            "r2": float(metrics.r2_score(y, values)),
        }
    classes = np.arange(len(plan.labels))
    chosen = predicted.argmax(axis=1)
    return {
        "log_loss": float(metrics.log_loss(y, predicted, labels=classes)),
        "roc_auc": _roc_auc(y, predicted, classes),
        "accuracy": float(metrics.accuracy_score(y, chosen)),
        "macro_f1": float(metrics.f1_score(y, chosen, labels=classes, average="macro", zero_division=0)),
    }


def _roc_auc(y: NDArray[Any], predicted: NDArray[np.float64], classes: NDArray[np.intp]) -> float:
    """Of the second class, or the mean over each class against the rest."""
    if len(classes) == 2:
        return float(metrics.roc_auc_score(y, predicted[:, 1]))
    return float(metrics.roc_auc_score(y, predicted, multi_class="ovr", average="macro", labels=classes))


def summarize(metric: str, folds: list[float]) -> Score:
    """Mean and 95 % interval by Student's t, its variance widened for folds that share rows.

    Source: Nadeau and Bengio, "Inference for the generalization error" (2003): 1/k becomes 1/k + test/train rows.
    """
    count = len(folds)
    mean, std = float(np.mean(folds)), float(np.std(folds, ddof=1))
    margin = stats.t.ppf((1 + CONFIDENCE) / 2, count - 1) * std * np.sqrt(1 / count + 1 / (count - 1))
    least, most = BOUNDS[metric]
    return Score(metric, tuple(folds), mean, std, max(least, float(mean - margin)), min(most, float(mean + margin)))


def rank(scores: Iterable[Scores]) -> list[Scores]:
    """Best first by the mean of the metric that decides; the baseline is last, for it is never worth serving."""

    def loss(found: Scores) -> tuple[bool, float]:
        sign = 1 if found.primary.metric in LOWER_IS_BETTER else -1
        return found.algorithm is Algorithm.BASELINE, sign * found.primary.mean

    return sorted(scores, key=loss)


def choose(scores: Iterable[Scores]) -> Scores:
    """The best candidate that is not the baseline."""
    return rank(scores)[0]
