"""Code that a version's page offers to copy, filled with a row that its signature accepts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.registry.signature import Datatype, Input, Signature

STAND_INS: Mapping[Datatype, Any] = {
    Datatype.FP64: 1.5,
    Datatype.FP32: 1.5,
    Datatype.INT64: 1,
    Datatype.BOOL: True,
    Datatype.BYTES: "text",
}


def example_row(signature: Mapping[str, Any], typical: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A row that the signature accepts: each column's `typical` value as far as it fits, else a stand-in."""
    typical = typical or {}
    columns = Signature.from_json(signature).inputs
    return {column.name: _fitting(column, typical.get(column.name)) for column in columns}


def _fitting(column: Input, value: Any) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    match column.datatype:
        case Datatype.INT64 if is_number:
            return round(value)
        case Datatype.FP64 if is_number:
            return float(value)
        case Datatype.BOOL if isinstance(value, bool):
            return value
        case Datatype.BYTES if isinstance(value, str) and (column.categories is None or value in column.categories):
            return value
    return column.categories[0] if column.categories else STAND_INS[column.datatype]


def onnx_example(file_name: str, signature: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    """Python that answers `row` with the downloaded artifact and nothing else."""
    texts = {column.name for column in Signature.from_json(signature).inputs if column.datatype is Datatype.BYTES}
    lines = [
        f"    {name!r}: np.array([[{value!r}]], dtype={'object' if name in texts else 'np.float32'}),"
        for name, value in row.items()
    ]
    return "\n".join(
        [
            "import numpy as np",
            "import onnxruntime",
            "",
            f"session = onnxruntime.InferenceSession({file_name!r})",
            "row = {",
            *lines,
            "}",
            "for output, answer in zip(session.get_outputs(), session.run(None, row)):",
            "    print(output.name, answer)",
        ]
    )
