"""From an uploaded CSV to a typed Parquet file, in memory that does not grow with the file.

The file is parsed once, by one parser, so that what is checked is what is stored. Batches of texts go to a scratch
folder while each column's evidence is collected; then the decided types are cast in one streaming pass.
"""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import polars as pl
from polars.io.plugins import register_io_source

from apps.datasets import errors
from apps.datasets.csv_lines import TextLines, read_head, sniff_separator
from apps.datasets.enums import ColumnKind
from apps.datasets.inference import FLOAT_PATTERN, TableEvidence, cleaned, identifies, typed

BATCH_CELLS = 500_000
KINDS_KEY = "modelyard.column_kinds"
PARSER_REASONS = {
    "expected after": "text follows a closing quote",
    "unexpected end of data": "a quote that opens here never closes",
    "field larger": "a value here is too long, or a quote that opens here never closes",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may hold."""

    max_columns: int = 1000
    max_rows: int = 20_000_000
    max_line_bytes: int = 1_048_576
    max_name_chars: int = 200


@dataclass(frozen=True, slots=True)
class ColumnType:
    name: str
    kind: ColumnKind


@dataclass(frozen=True, slots=True)
class Table:
    """What was read: the columns in the file's order, and the size of the Parquet file."""

    columns: list[ColumnType]
    row_count: int
    size_bytes: int


def read_csv(
    source: Path,
    target: Path,
    limits: Limits = Limits(),
    on_progress: Callable[[float], None] | None = None,
) -> Table:
    """Write the CSV file `source` as Parquet to `target`.

    Raises a subclass of `UnreadableDataset` that says what is wrong and where; `target` is then not written.
    `on_progress` is told the share of the file that has been read; what it raises stops the reading.
    """
    separator = sniff_separator(read_head(source))
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".reading-") as scratch, source.open("rb") as file:
        texts = _TextTable(Path(scratch))
        lines = TextLines(file, limits.max_line_bytes)
        total_bytes = source.stat().st_size
        for batch in _batches(_records(lines, separator), limits):
            texts.append(batch)
            if on_progress is not None:
                on_progress(lines.bytes_read / total_bytes)
        columns = texts.write_parquet(Path(scratch) / "table.parquet")
        (Path(scratch) / "table.parquet").replace(target)
    return Table(columns, texts.row_count, target.stat().st_size)


def column_types(parquet: Path) -> list[ColumnType]:
    """The columns of a Parquet file that `read_csv` wrote."""
    kinds: dict[str, str] = json.loads(pl.read_parquet_metadata(parquet)[KINDS_KEY])
    return [ColumnType(name, ColumnKind(kind)) for name, kind in kinds.items()]


class _TextTable:
    """The table while its types are unknown: batches of texts on disk, and the evidence they gave."""

    def __init__(self, folder: Path) -> None:
        self.row_count = 0
        self._parts: list[Path] = []
        self._folder = folder
        self._evidence = TableEvidence()

    def append(self, batch: pl.DataFrame) -> None:
        batch = cleaned(batch)
        self._evidence.see(batch)
        part = self._folder / f"{len(self._parts)}.arrow"
        batch.write_ipc(part, compression="lz4")
        self._parts.append(part)
        self.row_count += len(batch)

    def write_parquet(self, target: Path) -> list[ColumnType]:
        texts = pl.scan_ipc(self._parts)
        evidence = self._evidence.columns
        columns = [ColumnType(name, found.kind(identifies(found, texts))) for name, found in evidence.items()]
        kinds = json.dumps({column.name: column.kind for column in columns}, ensure_ascii=False)
        values = [typed(name, found.storage()) for name, found in evidence.items()]
        self._cast(values).sink_parquet(target, metadata={KINDS_KEY: kinds}, engine="streaming")
        return columns

    def _cast(self, values: list[pl.Expr]) -> pl.LazyFrame:
        # Scanning the parts directly keeps them all mapped: 500 MB for a million rows of 20, instead of 150 MB.
        def batches(
            with_columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
        ) -> Iterator[pl.DataFrame]:
            for part in self._parts:
                yield pl.read_ipc(part).select(values)

        return register_io_source(batches, schema=pl.read_ipc(self._parts[0], n_rows=0).select(values).schema)


def _batches(records: Iterator[list[str]], limits: Limits) -> Iterator[pl.DataFrame]:
    """The rows below the header, in frames of about equal size; raises when there are none, or too many."""
    names = _checked_names(next(records, []), limits)
    batch_rows = max(1, BATCH_CELLS // len(names))
    row_count = 0
    while rows := list(islice(records, batch_rows)):
        row_count += len(rows)
        if row_count > limits.max_rows:
            raise errors.TooManyRows(limit=limits.max_rows)
        columns = zip(names, zip(*rows, strict=True), strict=True)
        yield pl.DataFrame([pl.Series(name, values, dtype=pl.String) for name, values in columns])
    if not row_count:
        raise errors.NoRows(column_count=len(names))


def _records(lines: TextLines, separator: str) -> Iterator[list[str]]:
    """The header and the rows, each as wide as the header. Blank lines are not rows."""
    reader = csv.reader(lines, delimiter=separator, strict=True)
    width = 0
    while True:
        first_line = reader.line_num + 1
        try:
            record = next(reader, None)
        except csv.Error as problem:
            raise _malformed(str(problem), first_line, reader.line_num) from None
        if record is None:
            return
        if not record:
            continue
        width = width or len(record)
        if len(record) != width:
            raise errors.RaggedRow(line=first_line, found=len(record), expected=width, separator=_shown(separator))
        yield record


def _malformed(problem: str, first_line: int, last_line: int) -> errors.UnreadableDataset:
    if problem.startswith("new-line character"):
        return errors.WrongLineEnds(line=last_line)
    reason = next((text for part, text in PARSER_REASONS.items() if part in problem), problem)
    return errors.BadQuoting(line=first_line, reason=reason)


def _shown(separator: str) -> str:
    return "tab" if separator == "\t" else f"“{separator}”"


def _checked_names(header: Sequence[str], limits: Limits) -> list[str]:
    names = [name.strip() for name in header]
    if not names:
        raise errors.EmptyFile
    if len(names) > limits.max_columns:
        raise errors.TooManyColumns(found=len(names), limit=limits.max_columns)
    if pl.Series(names).str.contains(FLOAT_PATTERN).all():
        raise errors.HeaderMissing(first=names[0])
    seen: dict[str, int] = {}
    for position, name in enumerate(names, start=1):
        _check_name(name, position, limits)
        if name in seen:
            raise errors.DuplicateColumnName(name=name, first=seen[name], second=position)
        seen[name] = position
    return names


def _check_name(name: str, position: int, limits: Limits) -> None:
    if not name:
        raise errors.BlankColumnName(position=position)
    if len(name) > limits.max_name_chars:
        raise errors.ColumnNameTooLong(position=position, length=len(name), limit=limits.max_name_chars)
