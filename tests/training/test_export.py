"""The exported model answers every row as the trained one does, or is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from apps.datasets.enums import ColumnKind
from apps.registry.feeds import compile_feeds
from apps.registry.signature import compile_checker
from apps.training.candidates import CANDIDATES, Algorithm, candidates_for
from apps.training.export import compare, export
from apps.training.fitting import Fitted, fit
from apps.training.forests import round_down
from apps.training.planning import plan
from apps.training.refusals import ExportMismatch
from tests.training import tables

LEARNERS = [algorithm for algorithm in Algorithm if algorithm is not Algorithm.BASELINE]


def fitted(frame: pl.DataFrame, target: str, kinds: tables.Kinds, algorithm: Algorithm) -> Fitted:
    found = plan(frame, target, kinds)
    candidate = CANDIDATES[algorithm]
    if found.task not in candidate.tasks:
        candidate = candidates_for(found.task)[0]
    return fit(found, candidate)


def request(model: Fitted, frame: pl.DataFrame) -> dict[str, Any]:
    inputs = [
        {"name": c.name, "datatype": str(c.datatype), "shape": [len(frame), 1], "data": frame[c.name].to_list()}
        for c in model.plan.signature().inputs
    ]
    return {"inputs": inputs}


def answers(model: Fitted, exported: bytes, frame: pl.DataFrame) -> list[Any]:
    """What a replica answers: the request checked, turned into arrays and run, each as in production."""
    signature = model.plan.signature().to_json()
    body = request(model, frame)
    assert compile_checker(signature)(body) == len(frame)
    session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    return session.run([output["name"] for output in signature["outputs"]], compile_feeds(signature)(body))


@pytest.mark.parametrize("algorithm", LEARNERS)
@pytest.mark.parametrize("name", ["breast_cancer", "wine", "iris", "diabetes"])
def test_real_tables_are_answered_alike(tmp_path: Path, name: str, algorithm: Algorithm) -> None:
    frame, kinds = tables.real(name, tmp_path)
    model = fitted(frame, "target", kinds, algorithm)
    comparison = compare(model, export(model))
    assert comparison.rows == len(frame)
    assert comparison.mismatching_rows == 0
    assert comparison.max_difference <= comparison.tolerance


@pytest.mark.parametrize("algorithm", LEARNERS)
@pytest.mark.parametrize("target", tables.TARGETS)
def test_mixed_columns_with_gaps_are_answered_alike(target: str, algorithm: Algorithm) -> None:
    frame, kinds = tables.mixed()
    model = fitted(tables.without_other_targets(frame, target), target, kinds, algorithm)
    exported = export(model)
    unseen, _ = tables.mixed(seed=1)
    assert compare(model, exported).mismatching_rows == 0
    assert compare(model, exported, unseen).rows == len(unseen)
    expected = model.predict(unseen)
    *labels, numbers = answers(model, exported, unseen)
    scale = np.abs(expected).max()
    assert np.allclose(numbers, expected, atol=1e-5 * scale)
    if labels:
        chosen = [model.plan.labels[index] for index in expected.argmax(axis=1)]
        assert labels[0].tolist() == chosen


def test_labels_keep_their_type() -> None:
    frame, kinds = tables.mixed()
    types = {}
    for target in ("is_dear", "stars", "grade"):
        model = fitted(tables.without_other_targets(frame, target), target, kinds, Algorithm.LOGISTIC_REGRESSION)
        labels, _ = answers(model, export(model), frame[:5])
        types[target] = {type(label) for label in labels.tolist()}
        assert set(labels.tolist()) <= set(model.plan.labels)
    assert types == {"is_dear": {str}, "stars": {int}, "grade": {str}}


def test_the_model_takes_one_tensor_for_each_column() -> None:
    frame, kinds = tables.mixed()
    model = fitted(tables.without_other_targets(frame, "grade"), "grade", kinds, Algorithm.LIGHTGBM)
    session = onnxruntime.InferenceSession(export(model))
    assert [(tensor.name, tensor.type, tensor.shape) for tensor in session.get_inputs()] == [
        ("size in m²", "tensor(float)", ["rows", 1]),
        ("rooms", "tensor(float)", ["rows", 1]),
        ("seconds", "tensor(float)", ["rows", 1]),
        ("label", "tensor(string)", ["rows", 1]),
        ("garden", "tensor(float)", ["rows", 1]),
    ]
    assert [(tensor.name, tensor.shape) for tensor in session.get_outputs()] == [
        ("label_", ["rows"]),
        ("probabilities", ["rows", 2]),
    ]


def test_columns_may_be_named_like_anything_in_the_graph() -> None:
    names = ["value", "label", "probabilities", "concat.0.0", "constant.1.0", "model", "rows", ""]
    frame = pl.DataFrame({name or " ": np.arange(40) * (index + 1) % 7 for index, name in enumerate(names)})
    frame = frame.with_columns(pl.Series("target", np.arange(40) % 2))
    kinds = dict.fromkeys(frame.columns, ColumnKind.INTEGER)
    model = fitted(frame, "target", kinds, Algorithm.LOGISTIC_REGRESSION)
    assert compare(model, export(model)).mismatching_rows == 0


def test_the_same_model_is_exported_to_the_same_bytes() -> None:
    frame, kinds = tables.mixed(100)
    one, two = (
        export(fitted(tables.without_other_targets(frame, "price"), "price", kinds, Algorithm.EXTRA_TREES))
        for _ in range(2)
    )
    assert one == two


def test_a_changed_model_is_not_accepted() -> None:
    frame, kinds = tables.mixed()
    model = fitted(tables.without_other_targets(frame, "grade"), "grade", kinds, Algorithm.LOGISTIC_REGRESSION)
    graph = onnx.load_from_string(export(model))
    weights = max((c for c in graph.graph.initializer if len(c.dims) == 2), key=lambda c: len(c.raw_data))
    changed = numpy_helper.from_array(numpy_helper.to_array(weights) * np.float32(1.01), weights.name)
    weights.CopyFrom(changed)
    with pytest.raises(ExportMismatch) as caught:
        compare(model, graph.SerializeToString())
    assert caught.value.params["mismatching_rows"] > 0
    assert caught.value.params["rows"] == len(frame)


def test_exchanged_labels_are_not_accepted() -> None:
    frame, kinds = tables.mixed()
    model = fitted(tables.without_other_targets(frame, "grade"), "grade", kinds, Algorithm.LIGHTGBM)
    graph = onnx.load_from_string(export(model))
    labels = next(constant for constant in graph.graph.initializer if constant.string_data)
    labels.string_data[:] = reversed(labels.string_data)
    with pytest.raises(ExportMismatch) as caught:
        compare(model, graph.SerializeToString())
    assert caught.value.params["mismatching_rows"] == len(frame)


def test_equally_probable_classes_are_counted_as_ties() -> None:
    frame = pl.DataFrame({"n": [0, 1] * 20, "target": ["a", "b", "b", "a"] * 10})
    kinds = {"n": ColumnKind.INTEGER, "target": ColumnKind.CATEGORY}
    model = fitted(frame, "target", kinds, Algorithm.LOGISTIC_REGRESSION)
    graph = onnx.load_from_string(export(model))
    labels = next(constant for constant in graph.graph.initializer if constant.string_data)
    labels.string_data[:] = reversed(labels.string_data)
    comparison = compare(model, graph.SerializeToString())
    assert (comparison.mismatching_rows, comparison.tied_rows) == (0, 40)


def test_a_table_too_small_for_a_tree_to_split_is_exported() -> None:
    frame = pl.DataFrame({"n": range(20), "target": [0.5, 1.5] * 10})
    kinds = {"n": ColumnKind.INTEGER, "target": ColumnKind.FLOAT}
    for algorithm in (Algorithm.RIDGE, Algorithm.LIGHTGBM, Algorithm.EXTRA_TREES):
        model = fitted(frame[:20], "target", kinds, algorithm)
        assert compare(model, export(model)).rows == 20


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1), st.floats(width=32, allow_nan=False))
def test_rounding_a_threshold_down_keeps_every_decision(thresholds: list[float], value: float) -> None:
    exact = np.array(thresholds)
    value32 = np.float32(value)
    if np.isfinite(value32):
        assert ((value32 <= round_down(exact)) == (np.float64(value32) <= exact)).all()


NUMBERS = st.one_of(
    st.none(), st.floats(-1e6, 1e6), st.sampled_from([0.0, -0.0, 1e-35, -1e-35, 1e-40, 0.1, 1e30, 16777217.0])
)
TEXTS = st.one_of(st.none(), st.sampled_from(["a", "b", "ü", "日本", "rare"]))


@st.composite
def frames(draw: st.DrawFn) -> pl.DataFrame:
    rows, classes = draw(st.integers(20, 40)), draw(st.integers(2, 3))

    def column(values: st.SearchStrategy[Any], dtype: Any) -> pl.Series:
        return pl.Series(draw(st.lists(values, min_size=rows, max_size=rows)), dtype=dtype)

    return pl.DataFrame(
        {
            "number": column(NUMBERS, pl.Float64),
            "whole": column(st.one_of(st.none(), st.integers(-(2**40), 2**40)), pl.Int64),
            "flag": column(st.one_of(st.none(), st.booleans()), pl.Boolean),
            "text": column(TEXTS, pl.String),
            "anchor": pl.Series(np.arange(rows) % 5),
            "class": pl.Series([("no", "yes", "maybe")[i % classes] for i in range(rows)]),
            "value": column(st.floats(-1e5, 1e5), pl.Float64),
        }
    )


FRAME_KINDS = {
    "number": ColumnKind.FLOAT,
    "whole": ColumnKind.INTEGER,
    "flag": ColumnKind.BOOLEAN,
    "text": ColumnKind.CATEGORY,
    "anchor": ColumnKind.INTEGER,
    "class": ColumnKind.CATEGORY,
    "value": ColumnKind.FLOAT,
}


@settings(max_examples=25, deadline=None)
@given(frame=frames(), algorithm=st.sampled_from(LEARNERS), target=st.sampled_from(["class", "value"]))
def test_any_mixed_table_is_answered_alike(frame: pl.DataFrame, algorithm: Algorithm, target: str) -> None:
    assume(frame[target].n_unique() > 1)
    model = fitted(frame, target, FRAME_KINDS, algorithm)
    exported = export(model)
    assert compare(model, exported).mismatching_rows == 0
    *_, numbers = answers(model, exported, frame.select(model.plan.frame.columns))
    assert numbers.shape == (len(frame), max(1, len(model.plan.labels)))
