"""Decides what is learnt: the task, the columns that are used, those that are not and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from apps.datasets.enums import ColumnKind
from apps.registry.signature import MAX_NUMBER, Datatype, Input, Output, Signature, Task
from apps.training import refusals

MIN_ROWS = 20
MIN_CLASS_ROWS = 2
MIN_FOLDS = 2
DEFAULT_FOLDS = 5
MAX_CLASSES = 100
FEW_INTEGERS = 10  # an integer target with at most this many values, each common, names classes
ROWS_PER_INTEGER_CLASS = 20
DATATYPES: Mapping[ColumnKind, Datatype] = {
    ColumnKind.INTEGER: Datatype.INT64,
    ColumnKind.FLOAT: Datatype.FP64,
    ColumnKind.BOOLEAN: Datatype.BOOL,
    ColumnKind.CATEGORY: Datatype.BYTES,
}
UNUSED_KINDS: Mapping[ColumnKind, str] = {
    ColumnKind.ID: "identifies a row, which says nothing about other rows",
    ColumnKind.TEXT: "free text is not used",
    ColumnKind.DATE: "dates are not used",
    ColumnKind.DATETIME: "times are not used",
}
Label = str | int


@dataclass(frozen=True, slots=True)
class Feature:
    """A column the model takes. `nullable` and `categories` are what training saw, and so what prediction allows."""

    name: str
    kind: ColumnKind
    nullable: bool
    categories: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Dropped:
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What is learnt from which rows.

    `frame` holds the feature columns of the rows whose target is known; `y` holds their targets: the class as its
    position in `labels`, or the number to predict. `folds` may be fewer than asked for, when a class is rare.
    """

    task: Task
    target: str
    features: tuple[Feature, ...]
    dropped: tuple[Dropped, ...]
    labels: tuple[Label, ...]
    frame: pl.DataFrame
    y: NDArray[Any]
    rows_without_target: int
    folds: int

    @property
    def is_classification(self) -> bool:
        return self.task is not Task.REGRESSION

    def signature(self) -> Signature:
        inputs = tuple(
            Input(feature.name, DATATYPES[feature.kind], feature.nullable, feature.categories)
            for feature in self.features
        )
        return Signature(self.task, inputs, self._outputs())

    def _outputs(self) -> tuple[Output, ...]:
        taken = {feature.name for feature in self.features}
        if not self.is_classification:
            return (Output(_free_name("value", taken), Datatype.FP32, (-1, 1)),)
        label_type = Datatype.INT64 if isinstance(self.labels[0], int) else Datatype.BYTES
        return (
            Output(_free_name("label", taken), label_type, (-1,)),
            Output(_free_name("probabilities", taken), Datatype.FP32, (-1, len(self.labels)), self.labels),
        )


def _free_name(name: str, taken: set[str]) -> str:
    # A tensor has one name in an ONNX graph, and a column may be called "label".
    return name if name not in taken else _free_name(f"{name}_", taken)


def plan(
    frame: pl.DataFrame,
    target: str,
    kinds: Mapping[str, ColumnKind],
    task: Task | None = None,
    folds: int = DEFAULT_FOLDS,
) -> Plan:
    """Plan the training on `frame`, whose columns hold `kinds`; the task follows from the target unless given.

    Raises a subclass of `UntrainableData`.
    """
    if target not in frame.columns:
        raise refusals.TargetMissing(field="target", target=target, available=", ".join(frame.columns[:20]))
    known = frame.filter(pl.col(target).is_not_null())
    values = known[target]
    _check_target(target, values, kinds[target])
    task = _checked_task(target, values, kinds[target], task)
    labels, y = _classes(target, values) if task is not Task.REGRESSION else ((), values.cast(pl.Float64).to_numpy())
    features, dropped = _features(known.drop(target), kinds, target)
    return Plan(
        task=task,
        target=target,
        features=features,
        dropped=dropped,
        labels=labels,
        frame=known.select(feature.name for feature in features),
        y=y,
        rows_without_target=len(frame) - len(known),
        folds=_possible_folds(folds, y, task),
    )


def _check_target(target: str, values: pl.Series, kind: ColumnKind) -> None:
    if values.is_empty():
        raise refusals.TargetAllNull(field="target", target=target)
    if values.n_unique() == 1:
        raise refusals.TargetConstant(field="target", target=target, value=repr(values[0]))
    if kind in UNUSED_KINDS:
        raise refusals.TargetNotPredictable(field="target", target=target, kind=str(kind))
    if len(values) < MIN_ROWS:
        raise refusals.TooFewRows(field="target", target=target, found=len(values), needed=MIN_ROWS)


def _checked_task(target: str, values: pl.Series, kind: ColumnKind, task: Task | None) -> Task:
    if task is None:
        return _inferred_task(values, kind)
    distinct = values.n_unique()
    reason = None
    if task is Task.REGRESSION and not values.dtype.is_numeric():
        reason = "only numbers can be estimated"
    elif task is not Task.REGRESSION and not _names_classes(values):
        reason = "numbers with fractions do not name classes"
    elif task is Task.BINARY and distinct != 2:
        reason = f"it has {distinct} different values instead of 2"
    elif task is Task.MULTICLASS and distinct == 2:
        reason = "it has 2 different values; choose binary"
    if reason:
        raise refusals.TaskMismatch(field="task", target=target, task=str(task), reason=reason)
    return task


def _names_classes(values: pl.Series) -> bool:
    return not values.dtype.is_float() or bool((values == values.round()).all())


def _inferred_task(values: pl.Series, kind: ColumnKind) -> Task:
    distinct = values.n_unique()
    if kind is ColumnKind.INTEGER or (kind is ColumnKind.FLOAT and _names_classes(values)):
        if distinct > 2 and (distinct > FEW_INTEGERS or distinct * ROWS_PER_INTEGER_CLASS > len(values)):
            return Task.REGRESSION
    elif kind is ColumnKind.FLOAT:
        return Task.REGRESSION
    return Task.BINARY if distinct == 2 else Task.MULTICLASS


def _classes(target: str, values: pl.Series) -> tuple[tuple[Label, ...], NDArray[Any]]:
    """The labels in their order, and each row's class as a position among them."""
    named = _as_labels(values)
    counts = named.value_counts().sort(target)
    if len(counts) > MAX_CLASSES:
        raise refusals.TooManyClasses(field="target", target=target, found=len(counts), limit=MAX_CLASSES)
    for label, count in counts.iter_rows():
        if count < MIN_CLASS_ROWS:
            raise refusals.ClassTooSmall(
                field="target", target=target, label=repr(label), found=count, needed=MIN_CLASS_ROWS
            )
    labels = tuple(counts[target])
    positions = pl.Series(range(len(labels)), dtype=pl.Int64)
    return labels, named.replace_strict(counts[target], positions).to_numpy()


def _as_labels(values: pl.Series) -> pl.Series:
    if values.dtype == pl.Boolean:
        return values.replace_strict({True: "true", False: "false"}, return_dtype=pl.String)
    return values.cast(pl.Int64) if values.dtype.is_numeric() else values


def _features(
    frame: pl.DataFrame, kinds: Mapping[str, ColumnKind], target: str
) -> tuple[tuple[Feature, ...], tuple[Dropped, ...]]:
    reasons = {values.name: _reason_to_drop(values, kinds[values.name]) for values in frame}
    dropped = tuple(Dropped(name, reason) for name, reason in reasons.items() if reason)
    features = tuple(_feature(frame[name], kinds[name]) for name, reason in reasons.items() if not reason)
    if not features:
        told = "; ".join(f"{drop.name}: {drop.reason}" for drop in dropped[:10]) or "the table has no other column"
        raise refusals.NoUsableFeature(field="target", target=target, reasons=told)
    return features, dropped


def _reason_to_drop(values: pl.Series, kind: ColumnKind) -> str | None:
    present = values.drop_nulls()
    if present.is_empty():
        return "is empty"
    if kind in UNUSED_KINDS:
        return UNUSED_KINDS[kind]
    if present.n_unique() == 1 and len(present) == len(values):
        return "has the same value in every row"
    if values.dtype.is_float() and not (present.abs() <= MAX_NUMBER).all():
        return "holds numbers too large for single precision"
    return None


def _feature(values: pl.Series, kind: ColumnKind) -> Feature:
    categories = tuple(values.drop_nulls().unique().sort()) if kind is ColumnKind.CATEGORY else None
    return Feature(values.name, kind, values.null_count() > 0, categories)


def _possible_folds(folds: int, y: NDArray[Any], task: Task) -> int:
    """As many folds as asked for, unless a class has too few rows to be in each."""
    smallest = len(y) if task is Task.REGRESSION else int(np.bincount(y).min())
    return max(MIN_FOLDS, min(folds, smallest))
