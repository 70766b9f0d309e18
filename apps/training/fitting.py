"""A model learnt from a plan's rows: the encoding and the estimator, and what they answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from lightgbm import LGBMModel
from numpy.typing import NDArray

from apps.training.candidates import Candidate, Settings
from apps.training.encoding import Encoding, Matrix, learn_encoding
from apps.training.planning import Plan


@dataclass(frozen=True, slots=True)
class Fitted:
    """What training made. `importance` is the share of each input column in the model's decisions, summing to 1."""

    plan: Plan
    candidate: Candidate
    encoding: Encoding
    estimator: Any
    importance: dict[str, float]

    def predict(self, frame: pl.DataFrame) -> NDArray[np.float64]:
        """Probabilities [rows, labels] in the order of the plan's labels, or values [rows, 1]."""
        matrix = _as_learnt(self.encoding.encode(frame), self.candidate)
        if not self.plan.is_classification:
            return np.asarray(self.estimator.predict(matrix), dtype=np.float64).reshape(-1, 1)
        return np.asarray(self.estimator.predict_proba(matrix), dtype=np.float64)


def fit(
    plan: Plan,
    candidate: Candidate,
    rows: NDArray[np.intp] | None = None,
    threads: int = 1,
    seed: int = 0,
) -> Fitted:
    """Learn from all rows of the plan, or from `rows` only. The same seed gives the same model."""
    frame = plan.frame if rows is None else plan.frame[rows]
    y = plan.y if rows is None else plan.y[rows]
    encoding = learn_encoding(frame, plan.features, candidate.standardize)
    estimator = candidate.build(Settings(plan.task, len(frame), threads, seed))
    matrix = encoding.encode(frame)
    estimator.fit(_as_learnt(matrix, candidate), y)
    return Fitted(plan, candidate, encoding, estimator, _importance(estimator, matrix, encoding))


def _as_learnt(matrix: Matrix, candidate: Candidate) -> NDArray[Any]:
    """Trees only compare, so single precision is exact; linear algebra is done in double precision."""
    return matrix.astype(np.float64) if candidate.standardize else matrix


def _importance(estimator: Any, matrix: Matrix, encoding: Encoding) -> dict[str, float]:
    """Split gain of trees, or coefficient times spread of linear models, added up over a column's places."""
    weights = _weights(estimator, matrix)
    total = weights.sum() or 1.0
    shares = dict.fromkeys(encoding.sources(), 0.0)
    for source, weight in zip(encoding.sources(), weights, strict=True):
        shares[source] += float(weight / total)
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _weights(estimator: Any, matrix: Matrix) -> NDArray[np.float64]:
    if isinstance(estimator, LGBMModel):
        return estimator.booster_.feature_importance("gain").astype(np.float64)
    if hasattr(estimator, "feature_importances_"):
        return np.asarray(estimator.feature_importances_, dtype=np.float64)
    if hasattr(estimator, "coef_"):
        return np.abs(np.atleast_2d(estimator.coef_)).mean(axis=0) * matrix.std(axis=0, dtype=np.float64)
    return np.zeros(matrix.shape[1])
