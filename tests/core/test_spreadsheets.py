from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.spreadsheets import FORMULA_STARTS, safe_cell, write_csv


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("http://evil")'])
def test_a_text_that_would_be_a_formula_is_disarmed(text: str) -> None:
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize("value", [-1, 2.5, None, "plain", "a=b", ""])
def test_numbers_and_plain_texts_stay_as_they_are(value: object) -> None:
    assert safe_cell(value) == value


@given(st.lists(st.lists(st.text(st.characters(exclude_characters="\x00")), min_size=2, max_size=2)))
def test_no_cell_of_a_written_table_is_a_formula(rows: list[list[str]]) -> None:
    file = io.StringIO(newline="")
    write_csv(file, ["a", "b"], rows)
    file.seek(0)
    read = list(csv.reader(file))[1:]
    assert [[cell.removeprefix("'") for cell in row] for row in read] == [
        [cell.removeprefix("'") for cell in row] for row in rows
    ]
    assert not any(cell.startswith(FORMULA_STARTS) for row in read for cell in row)
