"""A plan says what is learnt from which columns, or why nothing can be."""

from __future__ import annotations

import polars as pl
import pytest

from apps.datasets.enums import ColumnKind
from apps.registry.signature import Datatype, Signature, Task
from apps.training import refusals
from apps.training.planning import Plan, plan
from tests.training import tables


def planned(target: str, values: list[object], kind: ColumnKind, task: Task | None = None) -> Plan:
    frame = pl.DataFrame({"n": range(len(values)), "target": values})
    return plan(frame, target, {"n": ColumnKind.INTEGER, "target": kind}, task)


@pytest.mark.parametrize(
    ("values", "kind", "task", "labels"),
    [
        ([True, False] * 15, ColumnKind.BOOLEAN, Task.BINARY, ("false", "true")),
        (["b", "a"] * 15, ColumnKind.CATEGORY, Task.BINARY, ("a", "b")),
        (["b", "a", "ü"] * 10, ColumnKind.CATEGORY, Task.MULTICLASS, ("a", "b", "ü")),
        ([0, 1] * 15, ColumnKind.INTEGER, Task.BINARY, (0, 1)),
        ([3, 1, 2] * 20, ColumnKind.INTEGER, Task.MULTICLASS, (1, 2, 3)),
        ([3, 1, 2] * 10, ColumnKind.INTEGER, Task.REGRESSION, ()),
        (list(range(300)), ColumnKind.INTEGER, Task.REGRESSION, ()),
        ([0.0, 1.0] * 15, ColumnKind.FLOAT, Task.BINARY, (0, 1)),
        ([0.5, 1.0] * 15, ColumnKind.FLOAT, Task.REGRESSION, ()),
    ],
)
def test_the_task_follows_from_the_target(
    values: list[object], kind: ColumnKind, task: Task, labels: tuple[str | int, ...]
) -> None:
    found = planned("target", values, kind)
    assert (found.task, found.labels) == (task, labels)


def test_the_task_can_be_chosen() -> None:
    assert planned("target", [3, 1, 2] * 10, ColumnKind.INTEGER, Task.MULTICLASS).labels == (1, 2, 3)
    assert planned("target", [3, 1, 2] * 20, ColumnKind.INTEGER, Task.REGRESSION).labels == ()


@pytest.mark.parametrize(
    ("values", "kind", "task"),
    [
        (["a", "b"] * 15, ColumnKind.CATEGORY, Task.REGRESSION),
        (["a", "b", "c"] * 15, ColumnKind.CATEGORY, Task.BINARY),
        (["a", "b"] * 15, ColumnKind.CATEGORY, Task.MULTICLASS),
        ([0.5, 1.0] * 15, ColumnKind.FLOAT, Task.BINARY),
    ],
)
def test_a_task_the_target_does_not_suit_is_refused(values: list[object], kind: ColumnKind, task: Task) -> None:
    with pytest.raises(refusals.TaskMismatch) as caught:
        planned("target", values, kind, task)
    assert caught.value.field == "task"


@pytest.mark.parametrize(
    ("target", "values", "kind", "error"),
    [
        ("missing", [1, 2] * 15, ColumnKind.INTEGER, refusals.TargetMissing),
        ("target", [None] * 30, ColumnKind.FLOAT, refusals.TargetAllNull),
        ("target", [7] * 30, ColumnKind.INTEGER, refusals.TargetConstant),
        ("target", ["yes", None] * 30, ColumnKind.CATEGORY, refusals.TargetConstant),
        ("target", [f"text {n}" for n in range(30)], ColumnKind.TEXT, refusals.TargetNotPredictable),
        ("target", [1, 2] * 9, ColumnKind.INTEGER, refusals.TooFewRows),
        ("target", [*["a", "b"] * 15, "c"], ColumnKind.CATEGORY, refusals.ClassTooSmall),
        ("target", [f"v{n % 101}" for n in range(303)], ColumnKind.CATEGORY, refusals.TooManyClasses),
    ],
)
def test_a_target_that_cannot_be_learnt_is_refused(
    target: str, values: list[object], kind: ColumnKind, error: type[refusals.UntrainableData]
) -> None:
    with pytest.raises(error) as caught:
        planned(target, values, kind)
    assert caught.value.field == "target"
    assert target in caught.value.message


def test_columns_that_no_model_can_use_are_left_out_with_the_reason() -> None:
    frame, kinds = tables.mixed()
    found = plan(tables.without_other_targets(frame, "price"), "price", kinds)
    assert [feature.name for feature in found.features] == ["size in m²", "rooms", "seconds", "label", "garden"]
    reasons = {dropped.name: dropped.reason for dropped in found.dropped}
    assert list(reasons) == ["customer", "remark", "sold", "empty", "same"]
    assert reasons["same"] == "has the same value in every row"
    assert reasons["empty"] == "is empty"


def test_nothing_to_learn_from_is_refused_with_every_reason() -> None:
    frame = pl.DataFrame({"same": [1] * 30, "when": ["x"] * 30, "target": [1, 2] * 15})
    kinds = {"same": ColumnKind.INTEGER, "when": ColumnKind.TEXT, "target": ColumnKind.INTEGER}
    with pytest.raises(refusals.NoUsableFeature, match=r"same: has the same value.*when: free text"):
        plan(frame, "target", kinds)
    with pytest.raises(refusals.NoUsableFeature, match="no other column"):
        plan(frame.select("target"), "target", kinds)


def test_numbers_beyond_single_precision_are_left_out() -> None:
    frame = pl.DataFrame({"n": range(30), "huge": [1e39, 1.0] * 15, "target": [1, 2] * 15})
    kinds = {"n": ColumnKind.INTEGER, "huge": ColumnKind.FLOAT, "target": ColumnKind.INTEGER}
    assert [dropped.name for dropped in plan(frame, "target", kinds).dropped] == ["huge"]


def test_rows_without_a_target_are_counted_and_left_out() -> None:
    found = planned("target", [0, 1, None] * 15, ColumnKind.INTEGER)
    assert (len(found.frame), len(found.y), found.rows_without_target) == (30, 30, 15)


def test_a_rare_class_lowers_the_number_of_folds() -> None:
    assert planned("target", ["a"] * 20 + ["b"] * 3, ColumnKind.CATEGORY).folds == 3
    assert planned("target", ["a"] * 20 + ["b"] * 20, ColumnKind.CATEGORY).folds == 5


def test_the_signature_says_what_training_saw() -> None:
    frame, kinds = tables.mixed()
    signature = plan(tables.without_other_targets(frame, "grade"), "grade", kinds).signature()
    assert Signature.from_json(signature.to_json()) == signature
    size, rooms, _, label, garden = signature.inputs
    assert (size.datatype, size.nullable) == (Datatype.FP64, True)
    assert (rooms.datatype, rooms.nullable) == (Datatype.INT64, False)
    assert (garden.datatype, garden.nullable) == (Datatype.BOOL, True)
    assert label.categories == tuple(sorted({"nörd", "süd ✓", "日本", "east, side", 'the "old" town'}))
    assert [output.name for output in signature.outputs] == ["label_", "probabilities"], "a column is called label"
    assert signature.outputs[1].labels == ("gut ✓", "mäßig")
