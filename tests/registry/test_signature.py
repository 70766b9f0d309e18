"""The edge accepts an infer request exactly when a slow, simple reading of the protocol does."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.registry.feeds import compile_feeds
from apps.registry.signature import (
    ACCEPTED_DATATYPES,
    MAX_NUMBER,
    Datatype,
    Input,
    Output,
    Signature,
    SignatureMismatch,
    Task,
    compile_checker,
)

SIGNATURE = Signature(
    Task.BINARY,
    (
        Input("price", Datatype.FP64),
        Input("rooms", Datatype.INT64, nullable=True),
        Input("area", Datatype.BYTES, categories=("north", "süd")),
        Input("kind", Datatype.BYTES, nullable=True, categories=("flat", "house")),
        Input("sold", Datatype.BOOL),
        Input("note", Datatype.BYTES),
    ),
    (
        Output("label", Datatype.BYTES, (-1,)),
        Output("probabilities", Datatype.FP32, (-1, 2), ("no", "yes")),
    ),
)
ROW = {"price": 9.5, "rooms": 3, "area": "süd", "kind": None, "sold": True, "note": "x"}
check = compile_checker(SIGNATURE.to_json(), max_rows=5)
Change = Callable[[dict[str, Any]], object]


def request(*rows: dict[str, Any]) -> dict[str, Any]:
    return {
        "inputs": [
            {"name": c.name, "datatype": str(c.datatype), "shape": [len(rows), 1], "data": [r[c.name] for r in rows]}
            for c in SIGNATURE.inputs
        ]
    }


def refusal(body: Any) -> SignatureMismatch:
    with pytest.raises(SignatureMismatch) as caught:
        check(body)
    caught.value.detail.encode()
    return caught.value


def test_a_signature_survives_json() -> None:
    assert Signature.from_json(json.loads(json.dumps(SIGNATURE.to_json()))) == SIGNATURE


def test_the_number_of_rows_is_returned() -> None:
    assert check(request(ROW)) == 1
    assert check(request(ROW, ROW, ROW)) == 3


def test_the_protocols_other_forms_are_accepted() -> None:
    body = request(ROW, ROW)
    body["inputs"].reverse()
    body["inputs"][0]["shape"] = [2]
    body["inputs"][1]["data"] = [[True], [False]]
    body["inputs"][-1]["datatype"] = "FP32"
    body["inputs"][-1]["data"] = [1, 2.5]
    assert check({"id": "a", "parameters": {}, **body, "outputs": [{"name": "label"}]}) == 2


def set_data(index: int, *values: Any) -> Change:
    return lambda body: body["inputs"][index].update(data=list(values), shape=[len(values), 1])


def set_field(index: int, **fields: Any) -> Change:
    return lambda body: body["inputs"][index].update(fields)


@pytest.mark.parametrize(
    ("change", "code", "column", "row"),
    [
        (lambda body: body.pop("inputs"), "inputs_missing", None, None),
        (lambda body: body.update(inputs=[1]), "inputs_missing", None, None),
        (lambda body: body["inputs"].append({"name": "colour"}), "unknown_column", "colour", None),
        (lambda body: body["inputs"].pop(0), "missing_column", "price", None),
        (lambda body: body["inputs"].clear(), "missing_column", "price", None),
        (lambda body: body["inputs"].append(body["inputs"][2]), "duplicate_column", "area", None),
        (set_field(0, name=7), "unknown_column", None, None),
        (set_field(0, datatype="BYTES"), "wrong_datatype", "price", None),
        (set_field(1, datatype="FP64"), "wrong_datatype", "rooms", None),
        (set_field(0, datatype=["FP64"]), "wrong_datatype", "price", None),
        (set_field(0, shape=[2, 1]), "wrong_shape", "price", None),
        (set_field(0, shape=[1, 2]), "wrong_shape", "price", None),
        (set_field(0, shape="[1, 1]"), "wrong_shape", "price", None),
        (set_field(0, data="9"), "data_missing", "price", None),
        (set_field(2, data={"0": "süd"}), "data_missing", "area", None),
        (set_field(0, data=[[1, 2]]), "wrong_shape", "price", 0),
        (set_data(0, 1.0, 2.0), "unequal_lengths", "rooms", None),
        (set_data(0, True), "wrong_type", "price", 0),
        (set_data(0, "9"), "wrong_type", "price", 0),
        (set_data(0, {"a": 1}), "wrong_type", "price", 0),
        (set_data(0, math.nan), "not_finite", "price", 0),
        (set_data(0, -math.inf), "not_finite", "price", 0),
        (set_data(0, 1e39), "out_of_range", "price", 0),
        (set_data(0, 10**5000), "out_of_range", "price", 0),
        (set_data(0, None), "null_value", "price", 0),
        (set_data(1, 3.0), "wrong_type", "rooms", 0),
        (set_data(1, False), "wrong_type", "rooms", 0),
        (set_data(1, 2**63), "out_of_range", "rooms", 0),
        (set_data(2, "west"), "unseen_category", "area", 0),
        (set_data(2, None), "null_value", "area", 0),
        (set_data(2, ["süd", "x"]), "wrong_shape", "area", 0),
        (set_data(3, ""), "unseen_category", "kind", 0),
        (set_data(3, 1), "wrong_type", "kind", 0),
        (set_data(4, 1), "wrong_type", "sold", 0),
        (set_data(5, "\ud800"), "wrong_type", "note", 0),
        (lambda body: body.update(outputs=[{"name": "score"}]), "unknown_output", None, None),
        (lambda body: body.update(outputs="label"), "outputs_invalid", None, None),
    ],
)
def test_what_does_not_fit_is_named(change: Change, code: str, column: str | None, row: int | None) -> None:
    body = deepcopy(request(ROW))
    change(body)
    error = refusal(body)
    assert (error.code, error.column, error.row) == (code, column, row)
    assert column is None or json.dumps(column, ensure_ascii=False) in error.detail


@pytest.mark.parametrize("body", [None, [], "inputs", 3, ["inputs"]])
def test_a_request_must_be_an_object(body: Any) -> None:
    assert refusal(body).code == "not_an_object"


def test_the_row_the_value_and_what_is_allowed_are_told() -> None:
    error = refusal(request(ROW, ROW | {"area": "w" * 90}))
    assert error.row == 1
    assert error.detail == ('Column "area": row 1 holds "' + "w" * 38 + '…; the training data had only "north", "süd".')


def test_no_rows_and_too_many_rows_are_refused() -> None:
    assert refusal(request()).code == "no_rows"
    error = refusal(request(*[ROW] * 6))
    assert (error.code, "at most 5" in error.detail) == ("too_many_rows", True)


def reference_accepts(body: Any) -> bool:
    """The rules as one would write them without a thought for speed."""
    tensors = {tensor["name"]: tensor for tensor in body["inputs"]}
    if set(tensors) != {column.name for column in SIGNATURE.inputs} or len(tensors) != len(body["inputs"]):
        return False
    lengths = set()
    for column in SIGNATURE.inputs:
        tensor = tensors[column.name]
        data = tensor["data"]
        if data and all(isinstance(item, list) for item in data):
            if any(len(item) != 1 for item in data):
                return False
            data = [item[0] for item in data]
        if tensor["datatype"] not in ACCEPTED_DATATYPES[column.datatype]:
            return False
        if tensor["shape"] != [len(data)] and tensor["shape"] != [len(data), 1]:
            return False
        if not all(value_accepted(column, value) for value in data):
            return False
        lengths.add(len(data))
    return len(lengths) == 1 and 1 <= lengths.pop() <= 5


def value_accepted(column: Input, value: Any) -> bool:
    if value is None:
        return column.nullable
    if column.datatype == Datatype.BYTES:
        return isinstance(value, str) and (column.categories is None or value in column.categories)
    if column.datatype == Datatype.BOOL:
        return isinstance(value, bool)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    if column.datatype == Datatype.INT64:
        return isinstance(value, int) and -(2**63) <= value <= 2**63 - 1
    return not math.isnan(value) and abs(value) <= MAX_NUMBER


VALUES = st.sampled_from(
    [0, 1, -7, 2.5, 1e39, math.nan, math.inf, 2**63, -(2**63), True, False, None, "", "north", "süd", "flat", "é", [1]]
)


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """Requests that are valid, or differ from a valid one in a few places."""
    count = draw(st.integers(1, 3))
    body = request(*[deepcopy(ROW) for _ in range(count)])
    for _ in range(draw(st.integers(0, 2))):
        tensor = draw(st.sampled_from(body["inputs"]))
        match draw(st.sampled_from(["value", "shape", "datatype", "nest", "name", "append", "shuffle"])):
            case "value" if tensor["data"]:
                tensor["data"][draw(st.integers(0, len(tensor["data"]) - 1))] = draw(VALUES)
            case "shape":
                tensor["shape"] = draw(st.sampled_from([[count], [count, 1], [1], [1, 1], [0, 1], [count, 1, 1], []]))
            case "datatype":
                tensor["datatype"] = draw(st.sampled_from(["FP64", "FP32", "INT8", "UINT64", "BOOL", "BYTES", "TEXT"]))
            case "nest":
                tensor["data"] = [[value] for value in tensor["data"]]
            case "name":
                tensor["name"] = draw(st.sampled_from(["price", "rooms", "other"]))
            case "append":
                tensor["data"].append(draw(VALUES))
            case _:
                body["inputs"] = draw(st.permutations(body["inputs"]))
    return body


@settings(max_examples=600, deadline=None)
@given(requests())
def test_the_checker_agrees_with_a_slow_simple_reference(body: dict[str, Any]) -> None:
    try:
        accepted = check(deepcopy(body)) == len(body["inputs"][0]["data"])
    except SignatureMismatch as error:
        error.detail.encode()
        accepted = False
    assert accepted == reference_accepts(body)


def test_feeds_are_one_column_arrays_with_nan_and_empty_text_for_null() -> None:
    body = request(ROW | {"rooms": None}, ROW | {"kind": "flat"})
    body["inputs"][4]["data"] = [[True], [False]]
    feeds = compile_feeds(SIGNATURE.to_json())(body)
    assert list(feeds) == [column.name for column in SIGNATURE.inputs]
    assert {array.shape for array in feeds.values()} == {(2, 1)}
    assert feeds["price"].dtype == feeds["sold"].dtype == np.float32
    assert np.array_equal(feeds["rooms"], [[np.nan], [3]], equal_nan=True)
    assert feeds["sold"].tolist() == [[1.0], [0.0]]
    assert feeds["kind"].tolist() == [[""], ["flat"]]
    assert feeds["area"].dtype == object


def test_a_null_in_a_nested_text_column_is_an_empty_text() -> None:
    body = request(ROW, ROW | {"kind": "flat"})
    body["inputs"][3]["data"] = [[None], ["flat"]]
    assert check(body) == 2
    assert compile_feeds(SIGNATURE.to_json())(body)["kind"].tolist() == [[""], ["flat"]]
