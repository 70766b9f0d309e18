"""Fitted tree ensembles as flat arrays of nodes, ready for ONNX.

A tree sends a row left when `x <= threshold`, with a double-precision threshold. ONNX compares in single precision;
rounding each threshold down to the next float32 keeps every decision, because no float32 lies between the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from lightgbm import LGBMModel
from numpy.typing import NDArray

from apps.registry.signature import Task

NO_CHILD = -1
LIGHTGBM_ZERO = float(np.float32(1e-35))  # kZeroThreshold in LightGBM's meta.h


@dataclass(frozen=True, slots=True)
class Tree:
    """Arrays over the nodes of one tree, the root first. `scores` [nodes, outputs] count at leaves only."""

    feature: NDArray[np.int64]
    threshold: NDArray[np.float32]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    scores: NDArray[np.float64]

    @property
    def is_leaf(self) -> NDArray[np.bool_]:
        return self.left == NO_CHILD


def round_down(threshold: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest float32 that is not above each threshold."""
    limits = np.finfo(np.float32)
    nearest = np.clip(threshold, limits.min, limits.max).astype(np.float32)
    with np.errstate(over="ignore"):  # nothing finite lies below the lowest float32
        below = np.nextafter(nearest, np.float32(-np.inf))
    return np.where(nearest > threshold, below, nearest)


def extra_trees(estimator: Any) -> list[Tree]:
    """The trees of a scikit-learn forest; their scores add up to the forest's mean."""
    forest = [member.tree_ for member in estimator.estimators_]
    return [
        Tree(
            feature=np.maximum(tree.feature, 0).astype(np.int64),
            threshold=round_down(tree.threshold),
            left=tree.children_left.astype(np.int64),
            right=tree.children_right.astype(np.int64),
            scores=tree.value[:, 0, :] / len(forest),
        )
        for tree in forest
    ]


def lightgbm(estimator: LGBMModel, task: Task, outputs: int) -> list[Tree]:
    """The trees of a LightGBM model trained without missing values; their scores add up to its raw score.

    Each tree scores one class; in a binary task that is the second, and the first stays at zero.
    """
    blocks = estimator.booster_.model_to_string(importance_type="gain").split("\nTree=")[1:]
    trees = [_fields(block) for block in blocks]
    return [
        _lightgbm_tree(fields, output=1 if task is Task.BINARY else index % outputs, outputs=outputs)
        for index, fields in enumerate(trees)
    ]


def _beside_zero(threshold: NDArray[np.float64]) -> NDArray[np.float64]:
    """LightGBM reads every number within 1e-35 of zero as zero; a threshold in that range separates its two ends."""
    negative = (threshold >= -LIGHTGBM_ZERO) & (threshold < 0)
    positive = (threshold >= 0) & (threshold < LIGHTGBM_ZERO)
    below = np.nextafter(-LIGHTGBM_ZERO, -np.inf)
    return np.where(negative, below, np.where(positive, LIGHTGBM_ZERO, threshold))


def _fields(block: str) -> dict[str, str]:
    lines = block.split("\n\n", 1)[0].splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _lightgbm_tree(fields: dict[str, str], output: int, outputs: int) -> Tree:
    """LightGBM numbers inner nodes from 0 and writes leaf i as the child ~i; here leaves follow the inner nodes."""
    leaves = _numbers(fields["leaf_value"], np.float64)
    inner = len(leaves) - 1
    left, right = (_numbers(fields.get(side, ""), np.int64) for side in ("left_child", "right_child"))
    no_child = np.full(len(leaves), NO_CHILD, dtype=np.int64)
    threshold = _beside_zero(_numbers(fields.get("threshold", ""), np.float64))
    scores = np.zeros((inner + len(leaves), outputs))
    scores[inner:, output] = leaves
    return Tree(
        feature=np.concatenate([_numbers(fields.get("split_feature", ""), np.int64), np.zeros_like(no_child)]),
        threshold=round_down(np.concatenate([threshold, np.zeros(len(leaves))])),
        left=np.concatenate([np.where(left < 0, inner + ~left, left), no_child]),
        right=np.concatenate([np.where(right < 0, inner + ~right, right), no_child]),
        scores=scores,
    )


def _numbers(text: str, dtype: type) -> NDArray[Any]:
    return np.array(text.split(), dtype=dtype)
