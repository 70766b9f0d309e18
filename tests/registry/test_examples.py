"""The example row is one that the signature accepts, whatever the dataset holds."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from apps.registry.examples import example_row, onnx_example
from apps.registry.signature import Datatype, Input, Output, Signature, Task, compile_checker

COLUMNS = st.builds(
    Input,
    name=st.text(min_size=1, max_size=8).filter(lambda name: name.isprintable()),
    datatype=st.sampled_from([Datatype.FP64, Datatype.INT64, Datatype.BOOL]),
    nullable=st.booleans(),
) | st.builds(
    Input,
    name=st.text(min_size=1, max_size=8).filter(lambda name: name.isprintable()),
    datatype=st.just(Datatype.BYTES),
    categories=st.lists(st.text(max_size=5), min_size=1, max_size=4, unique=True).map(tuple),
)
TYPICAL = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(-1e9, 1e9) | st.text(max_size=5)


def signature_of(columns: list[Input]) -> dict[str, Any]:
    return Signature(Task.REGRESSION, tuple(columns), (Output("value", Datatype.FP32, (-1, 1)),)).to_json()


@given(st.lists(COLUMNS, min_size=1, max_size=5, unique_by=lambda column: column.name), st.data())
def test_the_example_row_is_always_accepted(columns: list[Input], data: st.DataObject) -> None:
    signature = signature_of(columns)
    row = example_row(signature, {column.name: data.draw(TYPICAL) for column in columns})
    tensors = [
        {"name": column.name, "shape": [1, 1], "datatype": column.datatype, "data": [row[column.name]]}
        for column in columns
    ]
    assert compile_checker(signature)({"inputs": tensors}) == 1


def test_the_example_uses_what_is_typical() -> None:
    columns = [Input("age", Datatype.INT64), Input("plan", Datatype.BYTES, categories=("basic", "plus"))]
    assert example_row(signature_of(columns), {"age": 41.5, "plan": "plus"}) == {"age": 42, "plan": "plus"}


def test_the_python_example_is_python() -> None:
    signature = signature_of([Input('a "quoted" name', Datatype.FP64), Input("plan", Datatype.BYTES)])
    code = onnx_example("it's.onnx", signature, example_row(signature))
    compile(code, "example", "exec")
    assert "dtype=object" in code
    assert "dtype=np.float32" in code
