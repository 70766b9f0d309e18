"""What a model takes and gives, and the check of a request against it (Open Inference Protocol v2).

Imports neither Django nor numpy: the edge runs `compile_checker(...)` on every prediction.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

MAX_ROWS = 10_000
MAX_NUMBER = 3.4028234663852886e38  # the largest float32: models compute in single precision
SHOWN_VALUE_CHARS = 40
SHOWN_INTEGER_BITS = 128
SHOWN_ITEMS = 4
SHOWN_NAMES = 8


class Task(StrEnum):
    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"


class Datatype(StrEnum):
    """The tensor types of the Open Inference Protocol that a signature speaks."""

    FP64 = "FP64"
    FP32 = "FP32"
    INT64 = "INT64"
    BYTES = "BYTES"
    BOOL = "BOOL"


INTEGER_DATATYPES = frozenset({f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)})
ACCEPTED_DATATYPES: Mapping[str, frozenset[str]] = {
    Datatype.FP64: INTEGER_DATATYPES | {"FP16", "FP32", "FP64"},
    Datatype.INT64: INTEGER_DATATYPES,
    Datatype.BYTES: frozenset({"BYTES"}),
    Datatype.BOOL: frozenset({"BOOL"}),
}


class SignatureMismatch(Exception):
    """A request that does not fit the model: a stable code, the column and the row (from 0) that do not fit."""

    def __init__(self, code: str, detail: str, column: str | None = None, row: int | None = None) -> None:
        super().__init__(detail)
        self.code, self.detail, self.column, self.row = code, detail, column, row


@dataclass(frozen=True, slots=True)
class Input:
    """One column of the model's input. `categories` are the only values allowed; None allows every value."""

    name: str
    datatype: Datatype
    nullable: bool = False
    categories: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """One tensor of the answer; -1 in the shape is the number of rows, `labels` name the last axis."""

    name: str
    datatype: Datatype
    shape: tuple[int, ...]
    labels: tuple[str | int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    task: Task
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "task": str(self.task),
            "inputs": [_input_to_json(column) for column in self.inputs],
            "outputs": [_output_to_json(output) for output in self.outputs],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Signature:
        """The signature that `to_json` wrote; raises KeyError or ValueError on anything else."""
        return cls(
            task=Task(document["task"]),
            inputs=tuple(_input_from_json(item) for item in document["inputs"]),
            outputs=tuple(_output_from_json(item) for item in document["outputs"]),
        )


def _input_to_json(column: Input) -> dict[str, Any]:
    return {
        "name": column.name,
        "datatype": str(column.datatype),
        "nullable": column.nullable,
        "categories": None if column.categories is None else list(column.categories),
    }


def _input_from_json(item: Mapping[str, Any]) -> Input:
    categories = item["categories"]
    return Input(
        name=item["name"],
        datatype=Datatype(item["datatype"]),
        nullable=item["nullable"],
        categories=None if categories is None else tuple(categories),
    )


def _output_to_json(output: Output) -> dict[str, Any]:
    return {
        "name": output.name,
        "datatype": str(output.datatype),
        "shape": list(output.shape),
        "labels": None if output.labels is None else list(output.labels),
    }


def _output_from_json(item: Mapping[str, Any]) -> Output:
    labels = item["labels"]
    return Output(
        name=item["name"],
        datatype=Datatype(item["datatype"]),
        shape=tuple(item["shape"]),
        labels=None if labels is None else tuple(labels),
    )


Accepts = Callable[[Any], bool]
Checker = Callable[[Any], int]


def compile_checker(signature: Mapping[str, Any], max_rows: int = MAX_ROWS) -> Checker:
    """A function that takes a decoded infer request and returns its number of rows, or raises SignatureMismatch.

    `signature` is the JSON form. A one-row request in the signature's column order, which is what clients send,
    takes a path that only compares; whatever that path does not recognise goes to the full check, which accepts
    the protocol's other forms and words the errors.
    """
    columns = tuple(_Column(column) for column in Signature.from_json(signature).inputs)
    outputs = frozenset(output["name"] for output in signature["outputs"])
    plain = tuple((column.name, column.datatypes, column.accepts) for column in columns)
    full_check = _FullCheck(columns, outputs, max_rows)

    def check(request: Any) -> int:
        return 1 if _is_plain_row(request, plain) else full_check(request)

    return check


def _is_plain_row(request: Any, plain: Sequence[tuple[str, frozenset[str], Accepts]]) -> bool:
    """Whether this is surely a valid one-row request. False only means: look closer."""
    try:
        if "outputs" in request:
            return False
        for tensor, (name, datatypes, accepts) in zip(request["inputs"], plain, strict=True):
            data = tensor["data"]
            if (
                tensor["name"] != name
                or tensor["datatype"] not in datatypes
                or type(data) is not list
                or len(data) != 1
                or tensor["shape"] not in ONE_ROW
                or not accepts(data[0])
            ):
                return False
    except (KeyError, TypeError, ValueError):
        return False
    return type(request) is dict and type(request["inputs"]) is list


ONE_ROW = ([1, 1], [1])


class _Column:
    """One input, ready to be checked."""

    def __init__(self, column: Input) -> None:
        self.name = column.name
        self.input = column
        self.datatypes = ACCEPTED_DATATYPES[column.datatype]
        self.accepts = _acceptor(column)

    def refuse(self, code: str, detail: str, row: int | None = None) -> SignatureMismatch:
        return SignatureMismatch(code, f"Column {_shown(self.name)}: {detail}", self.name, row)

    def check_datatype(self, datatype: Any) -> None:
        if not isinstance(datatype, str) or datatype not in self.datatypes:
            allowed = ", ".join(sorted(self.datatypes, key=_by_kind_and_width))
            raise self.refuse("wrong_datatype", f"datatype {_shown(datatype)} is not one of {allowed}.")

    def values(self, tensor: Mapping[str, Any]) -> list[Any]:
        """The tensor's data as one flat list, its shape checked against it."""
        data = tensor.get("data")
        if not isinstance(data, list):
            raise self.refuse("data_missing", '"data" must be a list with one value for each row.')
        if data and all(type(item) is list for item in data):
            data = self._unnested(data)
        shape = tensor.get("shape")
        if shape not in ([len(data)], [len(data), 1]):
            expected = f"[{len(data)}, 1]" if data else "[rows, 1]"
            raise self.refuse("wrong_shape", f"shape {_shown(shape)} does not fit its data; send {expected}.")
        return data

    def _unnested(self, rows: list[list[Any]]) -> list[Any]:
        for index, row in enumerate(rows):
            if len(row) != 1:
                raise self.refuse("wrong_shape", f"row {index} holds {len(row)} values instead of 1.", index)
        return [row[0] for row in rows]

    def check_values(self, values: list[Any]) -> None:
        for row, value in enumerate(values):
            if isinstance(value, (list, dict)) or not self.accepts(value):
                code, reason = _reason(self.input, value)
                raise self.refuse(code, f"row {row} holds {_shown(value)}; {reason}.", row)


def _by_kind_and_width(datatype: str) -> tuple[str, int]:
    return datatype.rstrip("0123456789"), int("0" + datatype.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))


class _FullCheck:
    """Checks every form of request the protocol allows and says exactly what does not fit."""

    def __init__(self, columns: Sequence[_Column], outputs: frozenset[str], max_rows: int) -> None:
        self.columns = {column.name: column for column in columns}
        self.outputs = outputs
        self.max_rows = max_rows

    def __call__(self, request: Any) -> int:
        if not isinstance(request, dict):
            raise SignatureMismatch("not_an_object", 'The request must be a JSON object with "inputs".')
        tensors = self._tensors(request.get("inputs"))
        self._check_outputs(request.get("outputs"))
        row_count = self._row_count(tensors)
        for name, (column, values) in tensors.items():
            if len(values) != row_count:
                detail = f"{len(values)} rows, but column {_shown(next(iter(tensors)))} has {row_count}."
                raise SignatureMismatch("unequal_lengths", f"Column {_shown(name)}: {detail}", name)
            column.check_values(values)
        return row_count

    def _tensors(self, inputs: Any) -> dict[str, tuple[_Column, list[Any]]]:
        if not isinstance(inputs, list) or not all(isinstance(tensor, dict) for tensor in inputs):
            raise SignatureMismatch("inputs_missing", '"inputs" must be a list with one tensor for each column.')
        found: dict[str, tuple[_Column, list[Any]]] = {}
        for tensor in inputs:
            column = self._column(tensor.get("name"))
            if column.name in found:
                raise column.refuse("duplicate_column", "is there more than once.")
            column.check_datatype(tensor.get("datatype"))
            found[column.name] = column, column.values(tensor)
        for name, column in self.columns.items():
            if name not in found:
                raise column.refuse("missing_column", f"is missing. The model takes {_listed(self.columns)}.")
        return found

    def _column(self, name: Any) -> _Column:
        column = self.columns.get(name) if isinstance(name, str) else None
        if column is None:
            detail = f"Column {_shown(name)} is unknown. The model takes {_listed(self.columns)}."
            raise SignatureMismatch("unknown_column", detail, name if isinstance(name, str) else None)
        return column

    def _row_count(self, tensors: Mapping[str, tuple[_Column, list[Any]]]) -> int:
        column, values = next(iter(tensors.values()))
        if not values:
            raise column.refuse("no_rows", "has no rows. Send at least one.")
        if len(values) > self.max_rows:
            detail = f"has {len(values)} rows; at most {self.max_rows} are allowed in one request. Send several."
            raise column.refuse("too_many_rows", detail)
        return len(values)

    def _check_outputs(self, outputs: Any) -> None:
        if outputs is None:
            return
        if not isinstance(outputs, list) or not all(isinstance(output, dict) for output in outputs):
            raise SignatureMismatch("outputs_invalid", '"outputs" must be a list of objects with a "name".')
        for output in outputs:
            name = output.get("name")
            if not isinstance(name, str) or name not in self.outputs:
                detail = f"Output {_shown(name)} is unknown. The model gives {_listed(sorted(self.outputs))}."
                raise SignatureMismatch("unknown_output", detail)


def _acceptor(column: Input) -> Accepts:
    if column.categories is not None:
        return frozenset([*column.categories, *([None] if column.nullable else [])]).__contains__
    accepts = ACCEPTORS[column.datatype]
    if column.nullable:
        return lambda value: value is None or accepts(value)
    return accepts


def _is_number(value: Any) -> bool:
    # `type`, not `isinstance`: True is an int to Python, but not a number to anyone else. NaN fails the comparison.
    return (type(value) is float or type(value) is int) and -MAX_NUMBER <= value <= MAX_NUMBER


def _is_integer(value: Any) -> bool:
    return type(value) is int and -(2**63) <= value < 2**63


def _is_boolean(value: Any) -> bool:
    return value is True or value is False


def _is_text(value: Any) -> bool:
    return type(value) is str and (value.isascii() or _is_unicode(value))


def _is_unicode(value: str) -> bool:
    """False for a lone surrogate, which JSON can carry and UTF-8 cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


ACCEPTORS: Mapping[str, Accepts] = {
    Datatype.FP64: _is_number,
    Datatype.INT64: _is_integer,
    Datatype.BYTES: _is_text,
    Datatype.BOOL: _is_boolean,
}
EXPECTED: Mapping[str, str] = {
    Datatype.FP64: "a number is expected",
    Datatype.INT64: "a whole number is expected",
    Datatype.BYTES: "a text is expected",
    Datatype.BOOL: "true or false is expected",
}


def _reason(column: Input, value: Any) -> tuple[str, str]:
    """Why a refused value is refused: the error's code, and what is allowed instead."""
    expected = EXPECTED[column.datatype]
    if value is None:
        return "null_value", f"{expected}, because the training data had no empty value here"
    if column.categories is not None and isinstance(value, str):
        return "unseen_category", f"the training data had only {_listed(column.categories)}"
    if column.datatype is Datatype.FP64 and _is_numeric(value):
        return ("out_of_range", "it does not fit a 32-bit float") if _is_finite(value) else ("not_finite", expected)
    if column.datatype is Datatype.INT64 and type(value) is int:
        return "out_of_range", "it does not fit 64 bits"
    return "wrong_type", expected


def _is_numeric(value: Any) -> bool:
    return type(value) is int or type(value) is float


def _is_finite(value: float) -> bool:
    # math.isfinite overflows on the unbounded integers that JSON allows.
    return type(value) is int or math.isfinite(value)


def _shown(value: Any) -> str:
    """A value as JSON, short enough for an error message and always encodable."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        items = ["…" if isinstance(item, (list, dict)) else _shown(item) for item in value[:SHOWN_ITEMS]]
        return f"[{', '.join(items)}{', …' if len(value) > SHOWN_ITEMS else ''}]"
    if isinstance(value, int) and value.bit_length() > SHOWN_INTEGER_BITS:
        return f"an integer of {value.bit_length()} bits"
    text = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode()
    return text if len(text) <= SHOWN_VALUE_CHARS else text[: SHOWN_VALUE_CHARS - 1] + "…"


def _listed(names: Sequence[str] | Mapping[str, Any]) -> str:
    shown = ", ".join(_shown(name) for name in list(names)[:SHOWN_NAMES])
    return shown if len(names) <= SHOWN_NAMES else f"{shown} and {len(names) - SHOWN_NAMES} more"
