"""A fitted model as one ONNX graph, preprocessing included, and the proof that it answers as the original does.

The graph takes one [rows, 1] tensor for each column, named like it: float32 (NaN for null) or string ("" for null).
It gives `label` and `probabilities`, or `value`, as the plan's signature says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
import polars as pl
from lightgbm import LGBMModel
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from sklearn.linear_model import LogisticRegression, Ridge

from apps.datasets.enums import ColumnKind
from apps.registry.signature import Task
from apps.training import forests
from apps.training.encoding import CategoryColumn, raw_numbers
from apps.training.fitting import Fitted
from apps.training.planning import Feature, Plan
from apps.training.refusals import ExportMismatch

IR_VERSION = 10
OPSETS = (("", 18), ("ai.onnx.ml", 3))
PROBABILITY_TOLERANCE = 1e-4
VALUE_TOLERANCE = 1e-4  # of the target's standard deviation, plus what single precision can hold
SINGLE_PRECISION = 1e-6
BATCH_ROWS = 10_000


def export(fitted: Fitted) -> bytes:
    """The model as ONNX. Compare it with the original before it is served."""
    plan = fitted.plan
    graph = _Graph(taken={feature.name for feature in plan.features})
    answers = _add_estimator(graph, fitted, _add_encoding(graph, fitted))
    _add_outputs(graph, plan, answers)
    model = helper.make_model(
        graph.build(plan),
        producer_name="modelyard",
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid(domain, version) for domain, version in OPSETS],
    )
    onnx.checker.check_model(model)
    return model.SerializeToString()


class _Graph:
    """Nodes and constants under names that no column has."""

    def __init__(self, taken: set[str]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._taken = taken

    def add(self, operator: str, inputs: Sequence[str], output: str | None = None, **attributes: Any) -> str:
        output = output or self._name(operator.lower())
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def constant(self, value: NDArray[Any]) -> str:
        name = self._name("constant")
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def _name(self, stem: str) -> str:
        name = f"{stem}.{len(self.nodes)}.{len(self.constants)}"
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name

    def build(self, plan: Plan) -> onnx.GraphProto:
        inputs = [helper.make_tensor_value_info(f.name, _element_type(f), ["rows", 1]) for f in plan.features]
        outputs = [
            helper.make_tensor_value_info(output.name, ELEMENT_TYPES[output.datatype], ["rows", *output.shape[1:]])
            for output in plan.signature().outputs
        ]
        return helper.make_graph(self.nodes, "model", inputs, outputs, self.constants)


ELEMENT_TYPES = {"FP32": TensorProto.FLOAT, "INT64": TensorProto.INT64, "BYTES": TensorProto.STRING}


def _element_type(feature: Feature) -> int:
    return TensorProto.STRING if feature.kind is ColumnKind.CATEGORY else TensorProto.FLOAT


def _add_encoding(graph: _Graph, fitted: Fitted) -> str:
    """The matrix that `Encoding.encode` makes."""
    blocks: list[str] = []
    if fitted.encoding.numbers:
        blocks += _add_numbers(graph, fitted)
    if fitted.encoding.categories:
        one_hot = [_add_category(graph, column) for column in fitted.encoding.categories]
        joined = graph.add("Concat", one_hot, axis=2)
        blocks.append(graph.add("Squeeze", [joined, graph.constant(np.array([1], dtype=np.int64))]))
    return graph.add("Concat", blocks, axis=1)


def _add_numbers(graph: _Graph, fitted: Fitted) -> list[str]:
    encoding = fitted.encoding
    raw = graph.add("Concat", [column.name for column in encoding.numbers], axis=1)
    is_missing = graph.add("IsNaN", [raw])
    medians = graph.constant(np.array([[column.median for column in encoding.numbers]], dtype=np.float32))
    values = graph.add("Where", [is_missing, medians, raw])
    if encoding.offset is not None and encoding.scale is not None:
        values = graph.add("Sub", [values, graph.constant(encoding.offset)])
        values = graph.add("Mul", [values, graph.constant(encoding.scale)])
    flagged = np.array([i for i, column in enumerate(encoding.numbers) if column.flags_missing], dtype=np.int64)
    if not len(flagged):
        return [values]
    flags = graph.add("Gather", [is_missing, graph.constant(flagged)], axis=1)
    return [values, graph.add("Cast", [flags], to=TensorProto.FLOAT)]


def _add_category(graph: _Graph, column: CategoryColumn) -> str:
    """The one-hot block of one column, [rows, 1, width]. OneHot leaves a place outside the width at zero."""
    places = dict(column.places)
    nowhere = column.width
    places[""] = nowhere if column.missing_place is None else column.missing_place
    place = graph.add(
        "LabelEncoder",
        [column.name],
        domain="ai.onnx.ml",
        keys_strings=list(places),
        values_int64s=list(places.values()),
        default_int64=nowhere if column.rare_place is None else column.rare_place,
    )
    width = graph.constant(np.array(column.width, dtype=np.int64))
    return graph.add("OneHot", [place, width, graph.constant(np.array([0, 1], dtype=np.float32))], axis=-1)


def _add_estimator(graph: _Graph, fitted: Fitted, matrix: str) -> str:
    """Probabilities [rows, labels] or values [rows, 1]."""
    estimator, plan = fitted.estimator, fitted.plan
    outputs = max(1, len(plan.labels))
    if isinstance(estimator, (LogisticRegression, Ridge)):
        scores = _add_linear(graph, estimator, plan.task, matrix)
    elif isinstance(estimator, LGBMModel):
        scores = _add_forest(graph, forests.lightgbm(estimator, plan.task, outputs), outputs, matrix)
    else:
        return _add_forest(graph, forests.extra_trees(estimator), outputs, matrix)
    return graph.add("Softmax", [scores], axis=1) if plan.is_classification else scores


def _add_linear(graph: _Graph, estimator: LogisticRegression | Ridge, task: Task, matrix: str) -> str:
    weights = np.atleast_2d(estimator.coef_).T
    bias = np.atleast_1d(estimator.intercept_)
    if task is Task.BINARY:  # the sigmoid of one score is the softmax of zero and that score
        weights, bias = np.pad(weights, ((0, 0), (1, 0))), np.pad(bias, (1, 0))
    weights, bias = weights.astype(np.float32), bias.astype(np.float32)
    return graph.add("Gemm", [matrix, graph.constant(weights), graph.constant(bias)])


def _add_forest(graph: _Graph, trees: Sequence[forests.Tree], outputs: int, matrix: str) -> str:
    sizes = [len(tree.left) for tree in trees]
    is_leaf = np.concatenate([tree.is_leaf for tree in trees])
    tree_ids = np.repeat(np.arange(len(trees)), sizes)
    node_ids = np.concatenate([np.arange(size) for size in sizes])
    # Summed around zero, because single precision keeps only seven digits of a large number plus small ones.
    centres = [tree.scores[tree.is_leaf].mean(axis=0) for tree in trees]
    scores = np.concatenate([tree.scores - centre for tree, centre in zip(trees, centres, strict=True)])
    counts = is_leaf[:, None] & (scores != 0)
    counts[is_leaf & ~counts.any(axis=1), 0] = True  # ONNX Runtime misreads a leaf that scores nothing
    scored, output_ids = np.nonzero(counts)
    left, right = (
        np.where(is_leaf, 0, np.concatenate([getattr(t, side) for t in trees])) for side in ("left", "right")
    )
    return graph.add(
        "TreeEnsembleRegressor",
        [matrix],
        domain="ai.onnx.ml",
        n_targets=outputs,
        aggregate_function="SUM",
        base_values=np.sum(centres, axis=0).tolist(),
        nodes_treeids=tree_ids.tolist(),
        nodes_nodeids=node_ids.tolist(),
        nodes_featureids=np.concatenate([tree.feature for tree in trees]).tolist(),
        nodes_values=np.concatenate([tree.threshold for tree in trees]).tolist(),
        nodes_modes=np.where(is_leaf, "LEAF", "BRANCH_LEQ").tolist(),
        nodes_truenodeids=left.tolist(),
        nodes_falsenodeids=right.tolist(),
        target_treeids=tree_ids[scored].tolist(),
        target_nodeids=node_ids[scored].tolist(),
        target_ids=output_ids.tolist(),
        target_weights=scores[scored, output_ids].astype(np.float32).tolist(),
    )


def _add_outputs(graph: _Graph, plan: Plan, answers: str) -> None:
    outputs = [output.name for output in plan.signature().outputs]
    graph.add("Identity", [answers], output=outputs[-1])
    if plan.is_classification:
        dtype = np.int64 if isinstance(plan.labels[0], int) else object
        best = graph.add("ArgMax", [answers], axis=1, keepdims=0)
        graph.add("Gather", [graph.constant(np.array(plan.labels, dtype=dtype)), best], output=outputs[0])


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the exported model's answers relate to the original's, row by row.

    `tied_rows` have another label than the original because two classes are equally probable within the tolerance.
    """

    rows: int
    mismatching_rows: int
    tied_rows: int
    max_difference: float
    tolerance: float


def compare(fitted: Fitted, model: bytes, frame: pl.DataFrame | None = None) -> Comparison:
    """Answer every row of `frame` (by default the training rows) with both models.

    Raises `ExportMismatch` unless in each row all numbers agree within the tolerance, and the label is the same or
    is one of those that tie for the best.
    """
    frame = fitted.plan.frame if frame is None else frame
    session = _session(model)
    tolerance = _tolerance(fitted.plan)
    differences, mismatches, ties = [0.0], 0, 0
    for batch in frame.iter_slices(BATCH_ROWS):
        expected = fitted.predict(batch)
        labels, answers = _run(session, fitted.plan, batch)
        difference = np.abs(answers - expected).max(axis=1)
        chosen, is_tied = _label_agreement(fitted.plan, expected, labels, tolerance)
        mismatches += int((~(difference <= tolerance) | ~chosen & ~is_tied).sum())
        ties += int((~chosen & is_tied).sum())
        differences.append(float(difference.max()))
    found = Comparison(len(frame), mismatches, ties, max(differences), tolerance)
    if mismatches:
        raise ExportMismatch(
            rows=found.rows, mismatching_rows=mismatches, max_difference=found.max_difference, tolerance=tolerance
        )
    return found


def _session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _tolerance(plan: Plan) -> float:
    if plan.is_classification:
        return PROBABILITY_TOLERANCE
    return float(VALUE_TOLERANCE * plan.y.std() + SINGLE_PRECISION * np.abs(plan.y).max())


def _run(
    session: onnxruntime.InferenceSession, plan: Plan, frame: pl.DataFrame
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """The labels (none for a regression) and the numbers the exported model answers."""
    *labels, answers = session.run([output.name for output in plan.signature().outputs], feeds(plan, frame))
    return (labels[0] if labels else np.empty(0)), answers.astype(np.float64)


def feeds(plan: Plan, frame: pl.DataFrame) -> dict[str, NDArray[Any]]:
    """What ONNX Runtime is fed to answer the rows of `frame`."""
    return {
        feature.name: frame[feature.name].fill_null("").to_numpy().astype(object).reshape(-1, 1)
        if feature.kind is ColumnKind.CATEGORY
        else raw_numbers(frame, [feature.name])
        for feature in plan.features
    }


def _label_agreement(
    plan: Plan, expected: NDArray[np.float64], labels: NDArray[Any], tolerance: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Per row: whether the label is the original's, and whether it is as probable within twice the tolerance."""
    if not plan.is_classification:
        everywhere = np.ones(len(expected), dtype=bool)
        return everywhere, everywhere
    place = {label: index for index, label in enumerate(plan.labels)}
    answered = np.array([place[label] for label in labels.tolist()])
    best = expected.argmax(axis=1)
    rows = np.arange(len(expected))
    return answered == best, expected[rows, best] - expected[rows, answered] <= 2 * tolerance
