"""Any CSV a person may upload becomes a typed table, or is refused with the reason and the place."""

from __future__ import annotations

import csv
import gzip
import io
import subprocess
import sys
import zipfile
from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.datasets import errors
from apps.datasets.enums import ColumnKind
from apps.datasets.reading import ColumnType, Limits, Table, column_types, read_csv

ROOT = Path(__file__).parents[2]


def read(folder: Path, content: str | bytes, limits: Limits | None = None) -> tuple[Table, pl.DataFrame]:
    source = folder / "source.csv"
    source.write_bytes(content if isinstance(content, bytes) else content.encode())
    table = read_csv(source, folder / "table.parquet", limits or Limits())
    return table, pl.read_parquet(folder / "table.parquet")


def refusal(folder: Path, content: str | bytes, limits: Limits | None = None) -> errors.UnreadableDataset:
    with pytest.raises(errors.UnreadableDataset) as caught:
        read(folder, content, limits)
    assert {path.name for path in folder.iterdir()} == {"source.csv"}, "a refused file leaves something behind"
    return caught.value


def kinds(table: Table) -> dict[str, str]:
    return {column.name: str(column.kind) for column in table.columns}


def column(name: str, *values: str) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, quoting=csv.QUOTE_ALL).writerows([[name], *([value] for value in values)])
    return buffer.getvalue()


def kind_of(folder: Path, *values: str, name: str = "c") -> str:
    return kinds(read(folder, column(name, *values))[0])[name]


def test_a_csv_becomes_a_typed_table(tmp_path: Path) -> None:
    table, frame = read(
        tmp_path,
        "rooms,price,sold,listed,seen,area\n"
        "3,210.5,true,2024-01-31,2024-01-31T10:00:00Z,north\n"
        "4,,FALSE,,2024-02-01 09:30,south\n"
        "2,99,true,2024-03-01,2024-02-01 10:30:00.250+01:00,north\n",
    )
    assert kinds(table) == {
        "rooms": "integer",
        "price": "float",
        "sold": "boolean",
        "listed": "date",
        "seen": "datetime",
        "area": "category",
    }
    assert table.row_count == 3
    assert table.size_bytes == (tmp_path / "table.parquet").stat().st_size
    assert frame["rooms"].to_list() == [3, 4, 2]
    assert frame["price"].to_list() == [210.5, None, 99.0]
    assert frame["sold"].to_list() == [True, False, True]
    assert frame["listed"].to_list() == [date(2024, 1, 31), None, date(2024, 3, 1)]
    assert frame["seen"].to_list() == [
        datetime(2024, 1, 31, 10),
        datetime(2024, 2, 1, 9, 30),
        datetime(2024, 2, 1, 9, 30, 0, 250_000),
    ]
    assert column_types(tmp_path / "table.parquet") == table.columns


def test_quoted_newlines_separators_and_quotes_are_part_of_the_value(tmp_path: Path) -> None:
    _, frame = read(tmp_path, 'a,b\n"one\ntwo, three",1\n"say ""hi""",2\n')
    assert frame["a"].to_list() == ["one\ntwo, three", 'say "hi"']


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_recognised(tmp_path: Path, separator: str) -> None:
    table, frame = read(tmp_path, separator.join("ab") + "\n" + f'1{separator}"x, y; z"\n2{separator}w\n')
    assert [column.name for column in table.columns] == ["a", "b"]
    assert frame["b"].to_list() == ["x, y; z", "w"]


def test_a_byte_order_mark_is_not_part_of_the_first_name(tmp_path: Path) -> None:
    table, _ = read(tmp_path, b"\xef\xbb\xbfname,n\nx,1\n")
    assert table.columns[0].name == "name"


def test_windows_line_ends_and_a_missing_last_one_are_read(tmp_path: Path) -> None:
    _, frame = read(tmp_path, "a,b\r\n1,x\r\n2,y")
    assert frame.rows() == [(1, "x"), (2, "y")]


def test_blank_lines_are_not_rows(tmp_path: Path) -> None:
    _, frame = read(tmp_path, "a,b\n\n1,x\n\n2,y\n\n")
    assert len(frame) == 2


def test_a_row_of_empty_cells_is_a_row_of_nulls(tmp_path: Path) -> None:
    _, frame = read(tmp_path, "a,b\n1,x\n,\n2,y\n")
    assert frame.rows()[1] == (None, None)


def test_types_are_decided_on_every_row_not_on_the_first_ones(tmp_path: Path) -> None:
    rows = [str(number % 7) for number in range(60_000)]
    assert kind_of(tmp_path, *rows) == "integer"
    assert kind_of(tmp_path, *rows, "2.5") == "float"
    assert kind_of(tmp_path, *rows, "seven") == "category"


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "-2", "+3"], "integer"),
        (["1", "2.", ".5", "-1e-3"], "float"),
        (["1", "NA", "n/a", "3"], "integer"),
        (["01", "02", "02", "01"], "category"),
        (["12345678901234567890", "12345678901234567891", "12345678901234567891"], "category"),
        (["inf", "1.5", "inf"], "category"),
        (["1e999", "1.5", "1e999"], "category"),
        (["2024-02-30", "2024-02-01", "2024-02-01"], "category"),
        (["0000-01-01", "2024-02-01", "2024-02-01"], "category"),
        (["9999-12-31", "2024-02-01"], "date"),
        (["true", "False", ""], "boolean"),
        (["yes", "no", "yes", "no"], "category"),
        (["NA", "EU", "NA", "EU"], "category"),
        (["", "", ""], "text"),
        (["a1f", "b2e", "c3d"], "id"),
        (["Nice flat near the park", "Small house", "A room with a view"], "text"),
    ],
)
def test_a_column_is_what_all_of_its_values_are(tmp_path: Path, values: list[str], kind: str) -> None:
    assert kind_of(tmp_path, *values) == kind


def test_null_words_are_null_among_numbers_and_values_among_categories(tmp_path: Path) -> None:
    _, frame = read(tmp_path, "n,region\n1,NA\nNA,EU\n3,NA\n4,EU\n")
    assert frame["n"].to_list() == [1, None, 3, 4]
    assert frame["region"].to_list() == ["NA", "EU", "NA", "EU"]


def test_integers_that_name_rows_are_identifiers(tmp_path: Path) -> None:
    apart = [str(7 * number) for number in range(50)]
    assert kind_of(tmp_path, *map(str, range(50)), name="anything") == "id"
    assert kind_of(tmp_path, *apart, name="customer_id") == "id"
    assert kind_of(tmp_path, *apart, name="customerId") == "id"
    assert kind_of(tmp_path, *apart, name="price") == "integer"
    assert kind_of(tmp_path, *apart, apart[0], name="customer_id") == "integer"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"PAR1\x15\x04\x15", "a Parquet file"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "a PNG image"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"<!DOCTYPE html><html></html>", "an HTML page"),
        (b'\n  {"a": 1}', "a JSON document"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0), "a gzip archive"),
        (bytes(range(1, 32)) * 40, "a binary file"),
    ],
)
def test_what_is_not_csv_is_named(tmp_path: Path, content: bytes, found: str) -> None:
    error = refusal(tmp_path, content)
    assert isinstance(error, errors.NotCsv)
    assert found in error.message


def test_a_workbook_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    assert "Excel" in refusal(tmp_path, buffer.getvalue()).message


@pytest.mark.parametrize("content", ["", "\n\n", "   "])
def test_an_empty_file_is_refused(tmp_path: Path, content: str) -> None:
    assert isinstance(refusal(tmp_path, content), errors.EmptyFile)


def test_a_header_without_rows_is_refused(tmp_path: Path) -> None:
    error = refusal(tmp_path, "a,b,c\n")
    assert isinstance(error, errors.NoRows)
    assert "3 columns" in error.message


def test_rows_without_a_header_are_refused(tmp_path: Path) -> None:
    assert isinstance(refusal(tmp_path, "1,2.5\n3,4.5\n"), errors.HeaderMissing)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_wide_encoding_is_recognised(tmp_path: Path, encoding: str) -> None:
    error = refusal(tmp_path, "name,n\nx,1\n".encode(encoding))
    assert isinstance(error, errors.WrongEncoding)
    assert error.params["guess"] == encoding[:6].upper()


def test_latin_1_is_recognised_and_the_place_is_told(tmp_path: Path) -> None:
    error = refusal(tmp_path, b"name,n\nplain,1\ncaf\xe9,2\n")
    assert isinstance(error, errors.WrongEncoding)
    assert (error.params["line"], error.params["offset"]) == (3, 18)
    assert "Latin-1" in error.message
    assert "“é”" in error.message


def test_the_place_of_a_wrong_byte_counts_the_byte_order_mark(tmp_path: Path) -> None:
    error = refusal(tmp_path, b"\xef\xbb\xbfa,b\n1,\xff\n")
    assert (error.params["line"], error.params["offset"]) == (2, 9)


def test_a_nul_byte_is_refused(tmp_path: Path) -> None:
    error = refusal(tmp_path, b"name,n\n" + b"x,1\n" * 100 + b"y\x00,2\n")
    assert isinstance(error, errors.NulByte)
    assert error.params["line"] == 102


@pytest.mark.parametrize(("row", "found"), [("9", 1), ("9,8,7", 3)])
def test_a_ragged_row_is_told_with_its_line_and_counts(tmp_path: Path, row: str, found: int) -> None:
    error = refusal(tmp_path, f'a,b\n"two\nlines",1\n\n{row}\n5,6\n')
    assert isinstance(error, errors.RaggedRow)
    assert (error.params["line"], error.params["found"], error.params["expected"]) == (5, found, 2)


def test_an_open_quote_is_told_with_the_line_where_it_opens(tmp_path: Path) -> None:
    error = refusal(tmp_path, 'a,b\n1,2\n"open,3\n4,5\n')
    assert isinstance(error, errors.BadQuoting)
    assert error.params["line"] == 3


def test_text_after_a_closing_quote_is_refused(tmp_path: Path) -> None:
    assert isinstance(refusal(tmp_path, 'a,b\n"x"y,2\n'), errors.BadQuoting)


def test_old_line_ends_are_refused(tmp_path: Path) -> None:
    assert isinstance(refusal(tmp_path, "a,b\r1,2\r3,4\r"), errors.WrongLineEnds)


def test_one_huge_line_is_refused_before_it_is_read(tmp_path: Path) -> None:
    error = refusal(tmp_path, "a,b\n" + "x" * 5000 + ",1\n", Limits(max_line_bytes=1000))
    assert isinstance(error, errors.LineTooLong)
    assert error.params["line"] == 2


@pytest.mark.parametrize("header", ["a,,c", "a, ,c", 'a,"",c'])
def test_a_column_without_a_name_is_refused(tmp_path: Path, header: str) -> None:
    error = refusal(tmp_path, f"{header}\n1,2,3\n")
    assert isinstance(error, errors.BlankColumnName)
    assert error.params["position"] == 2


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    error = refusal(tmp_path, "a,b, a\n1,2,3\n")
    assert isinstance(error, errors.DuplicateColumnName)
    assert (error.params["first"], error.params["second"]) == (1, 3)


def test_too_many_columns_and_rows_are_refused(tmp_path: Path) -> None:
    assert isinstance(refusal(tmp_path, "a,b,c\n1,2,3\n", Limits(max_columns=2)), errors.TooManyColumns)
    assert isinstance(refusal(tmp_path, "a,b\n1,2\n3,4\n", Limits(max_rows=1)), errors.TooManyRows)


def test_progress_is_told_and_what_it_raises_stops_the_reading(tmp_path: Path) -> None:
    class Cancelled(Exception):
        pass

    def cancel(share: float) -> None:
        raise Cancelled

    source, target = tmp_path / "source.csv", tmp_path / "table.parquet"
    source.write_text("a,b\n1,2\n")
    shares: list[float] = []
    read_csv(source, target, on_progress=shares.append)
    assert shares == [1.0]
    target.unlink()
    with pytest.raises(Cancelled):
        read_csv(source, target, on_progress=cancel)
    assert list(tmp_path.iterdir()) == [source]


CELLS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8).map(str.strip) | st.sampled_from(
    ["1", "2.5", "", "true", "a,b", 'say "x"', "line\nbreak", "2024-01-01", "007"]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=12), separator=st.sampled_from(",;\t|"))
def test_every_text_comes_back_as_it_was_written(tmp_path: Path, rows: list[tuple[str, str]], separator: str) -> None:
    """The last two rows make both columns texts, whatever the other values look like."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=separator, quoting=csv.QUOTE_ALL)
    writer.writerows([("first", "second"), *rows, ("x y", "x y"), ("x y", "x y")])
    _, frame = read(tmp_path, buffer.getvalue())
    expected = [tuple(cell or None for cell in row) for row in rows]
    assert frame.rows()[: len(rows)] == expected


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from Linux' /proc")
def test_memory_stays_within_512_mb_for_a_million_rows_of_twenty_columns(tmp_path: Path) -> None:
    source = tmp_path / "big.csv"
    with source.open("w") as file:
        file.write(",".join(f"c{index}" for index in range(20)) + "\n")
        for block in range(1000):
            line = ",".join(f"{block}.{index}" if index % 2 else f"value {block % 40}" for index in range(20))
            file.write(f"{line}\n" * 1000)
    program = (
        "import sys; from pathlib import Path; from apps.datasets.reading import read_csv;"
        "table = read_csv(Path(sys.argv[1]), Path(sys.argv[2]));"
        # The peak of this program alone: what getrusage tells begins with that of the process it was forked from.
        "peak = Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0];"
        "print(table.row_count, int(peak) // 1024)"
    )
    command = [sys.executable, "-c", program, str(source), str(tmp_path / "big.parquet")]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    row_count, peak_mb = map(int, answer.split())
    assert row_count == 1_000_000
    assert peak_mb < 512


def test_a_table_names_its_columns_in_the_order_of_the_file(tmp_path: Path) -> None:
    table, _ = read(tmp_path, "z,a,m\n1,x,2.5\n2,x,3.5\n")
    assert table.columns == [
        ColumnType("z", ColumnKind.INTEGER),
        ColumnType("a", ColumnKind.CATEGORY),
        ColumnType("m", ColumnKind.FLOAT),
    ]
