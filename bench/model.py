"""The model of the serving benchmark: logistic regression on scikit-learn's breast cancer data, one input a column."""

from __future__ import annotations

import json
from pathlib import Path

from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def write_model(folder: Path) -> tuple[Path, Path, str]:
    """The model, its signature, and an infer request of one row, as files and text."""
    data = load_breast_cancer()
    columns = [str(name).replace(" ", "_") for name in data.feature_names]
    scaled = ColumnTransformer([("scaled", StandardScaler(), list(range(len(columns))))])
    pipeline = make_pipeline(scaled, LogisticRegression())
    pipeline.fit(data.data, data.target_names[data.target])
    types = [(name, FloatTensorType([None, 1])) for name in columns]
    exported = to_onnx(pipeline, initial_types=types, options={"zipmap": False})
    model, signature = folder / "model.onnx", folder / "signature.json"
    model.write_bytes(exported.SerializeToString())
    signature.write_text(json.dumps(_signature(columns, [str(name) for name in data.target_names])))
    inputs = [
        {"name": name, "datatype": "FP64", "shape": [1, 1], "data": [float(value)]}
        for name, value in zip(columns, data.data[0], strict=True)
    ]
    return model, signature, json.dumps({"inputs": inputs})


def _signature(columns: list[str], labels: list[str]) -> dict[str, object]:
    inputs = [{"name": name, "datatype": "FP64", "nullable": False, "categories": None} for name in columns]
    outputs = [
        {"name": "label", "datatype": "BYTES", "shape": [-1], "labels": None},
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, len(labels)], "labels": labels},
    ]
    return {"task": "binary", "inputs": inputs, "outputs": outputs}
