"""A small real model for the data plane's tests: three columns in, a label and its probabilities out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIGNATURE: dict[str, Any] = {
    "task": "binary",
    "inputs": [
        {"name": "age", "datatype": "FP64", "nullable": False, "categories": None},
        {"name": "income", "datatype": "FP64", "nullable": True, "categories": None},
        {"name": "plan", "datatype": "BYTES", "nullable": False, "categories": ["basic", "pro"]},
    ],
    "outputs": [
        {"name": "label", "datatype": "BYTES", "shape": [-1, 1], "labels": None},
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, 2], "labels": ["stay", "leave"]},
    ],
}


@dataclass(frozen=True)
class ModelFiles:
    model: Path
    signature: Path


def write_model(folder: Path) -> ModelFiles:
    """A logistic model written as a graph: `expected_probability` is its arithmetic."""
    files = ModelFiles(folder / "model.onnx", folder / "signature.json")
    onnx.save(_graph(), files.model)
    files.signature.write_text(json.dumps(SIGNATURE))
    return files


def _graph() -> onnx.ModelProto:
    ml = "ai.onnx.ml"
    nodes = [
        helper.make_node("IsNaN", ["income"], ["is_null"]),
        helper.make_node("Where", ["is_null", "zero", "income"], ["known"]),
        helper.make_node(
            "LabelEncoder", ["plan"], ["pro"], domain=ml, keys_strings=["basic", "pro"], values_floats=[0.0, 1.0]
        ),
        helper.make_node("Concat", ["age", "known", "pro"], ["row"], axis=1),
        helper.make_node("MatMul", ["row", "weights"], ["score"]),
        helper.make_node("Sigmoid", ["score"], ["leave"]),
        helper.make_node("Sub", ["one", "leave"], ["stay"]),
        helper.make_node("Concat", ["stay", "leave"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["probabilities"], ["index"], axis=1, keepdims=1),
        helper.make_node(
            "LabelEncoder", ["index"], ["label"], domain=ml, keys_int64s=[0, 1], values_strings=["stay", "leave"]
        ),
    ]
    constants = {"zero": [[0.0]], "one": [[1.0]], "weights": [[0.1], [0.001], [-0.5]]}
    graph = helper.make_graph(
        nodes,
        "leaving",
        [_tensor("age"), _tensor("income"), _tensor("plan", TensorProto.STRING)],
        [_tensor("label", TensorProto.STRING), _tensor("probabilities", columns=2)],
        [numpy_helper.from_array(np.array(value, np.float32), name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid(ml, 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def _tensor(name: str, kind: int = TensorProto.FLOAT, columns: int = 1) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, [None, columns])


def expected_probability(age: float, income: float | None, plan: str) -> float:
    score = 0.1 * age + 0.001 * (income or 0.0) - 0.5 * (plan == "pro")
    return float(1 / (1 + np.exp(-score)))


def infer_request(age: Any = 30.0, income: Any = 1000.0, plan: Any = "basic", **more: Any) -> dict[str, Any]:
    values = {"age": ("FP64", age), "income": ("FP64", income), "plan": ("BYTES", plan)}
    inputs = [
        {"name": name, "datatype": datatype, "shape": [len(data), 1], "data": data}
        for name, (datatype, value) in values.items()
        for data in [value if isinstance(value, list) else [value]]
    ]
    return {"inputs": inputs, **more}
