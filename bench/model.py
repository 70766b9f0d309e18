"""The model of the serving benchmark: logistic regression on scikit-learn's breast cancer data, as a run exports it."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
from sklearn.datasets import load_breast_cancer

from apps.datasets.enums import ColumnKind
from apps.training.candidates import CANDIDATES, Algorithm
from apps.training.export import export
from apps.training.fitting import fit
from apps.training.planning import plan

TARGET = "diagnosis"


def write_model(folder: Path) -> tuple[Path, Path, str]:
    """The model, its signature, and an infer request of one row, as files and text."""
    data = load_breast_cancer()
    columns = [str(name).replace(" ", "_") for name in data.feature_names]
    frame = pl.DataFrame(data.data, schema=columns).with_columns(pl.Series(TARGET, data.target_names[data.target]))
    kinds = {**dict.fromkeys(columns, ColumnKind.FLOAT), TARGET: ColumnKind.CATEGORY}
    fitted = fit(plan(frame, TARGET, kinds), CANDIDATES[Algorithm.LOGISTIC_REGRESSION])
    model, signature = folder / "model.onnx", folder / "signature.json"
    model.write_bytes(export(fitted))
    signature.write_text(json.dumps(fitted.plan.signature().to_json()))
    inputs = [
        {"name": name, "datatype": "FP64", "shape": [1, 1], "data": [float(value)]}
        for name, value in zip(columns, data.data[0], strict=True)
    ]
    return model, signature, json.dumps({"inputs": inputs})
