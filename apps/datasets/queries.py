"""Reads for the screens of datasets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from apps.core import charts, storage
from apps.core.formatting import ABSENT, format_count, format_percent, format_significant
from apps.core.paging import Page
from apps.datasets import errors
from apps.datasets.enums import ColumnKind
from apps.datasets.models import Column, Dataset, DatasetVersion
from apps.jobs.models import Job

ROWS_SHOWN = 50
COLUMNS_SHOWN = 100
LAST_OFFSET = 10_000
BARS = 8
JOBS_SHOWN = 30
NUMERIC_KINDS = (ColumnKind.INTEGER, ColumnKind.FLOAT)
QUANTILES_SHOWN = ("0.25", "0.5", "0.75")
WARNINGS = {
    "all_null": "Every cell is empty",
    "constant": "Always the same value",
    "mostly_null": "Mostly empty",
    "mixed": "Mostly numbers, but some cells are text",
}


@dataclass(frozen=True, slots=True)
class ShownColumn:
    """A column as the pages draw it: its distribution, and its numbers as text."""

    column: Column
    chart: charts.Histogram | None
    missing_share: float
    minimum: str
    quantiles: list[str]
    maximum: str
    warnings: list[str]

    @property
    def is_numeric(self) -> bool:
        return self.column.kind in NUMERIC_KINDS


def version_rows(version: DatasetVersion, names: list[str], offset: int, limit: int) -> list[list[Any]]:
    """Rows of a ready version. Raises `VersionNotReady`."""
    from apps.datasets.rows import read_rows

    if not version.is_ready:
        raise errors.VersionNotReady(number=version.number, status=version.status)
    with storage.local_copy(version.parquet_path) as parquet:
        return read_rows(parquet, offset, limit, names)


def row_page(version: DatasetVersion, columns: list[ShownColumn], cursor: str) -> Page:
    """A screenful of (number, cells), each cell a text and whether it is a number; `cursor` rows come before it."""
    offset = min(int(cursor), LAST_OFFSET) if cursor.isdecimal() else 0
    rows = version_rows(version, [shown.column.name for shown in columns], offset, ROWS_SHOWN)
    end = offset + len(rows)
    has_more = end < (version.row_count or 0) and end <= LAST_OFFSET
    return Page(
        rows=[(number, _cells(row, columns)) for number, row in enumerate(rows, start=offset + 1)],
        next_cursor=str(end) if has_more else None,
        previous_cursor=str(max(offset - ROWS_SHOWN, 0)) if offset else None,
    )


def _cells(row: list[Any], columns: list[ShownColumn]) -> list[tuple[str | None, bool]]:
    texts = (None if value is None else str(value).lower() if isinstance(value, bool) else str(value) for value in row)
    return [(text, shown.is_numeric) for text, shown in zip(texts, columns, strict=True)]


def rows_note(version: DatasetVersion, page: Page) -> str:
    if not page.rows:
        return ""
    first, last, all_rows = map(format_count, (page.rows[0][0], page.rows[-1][0], version.row_count))
    return f"Rows {first} to {last} of {all_rows}"


def shown_columns(version: DatasetVersion, limit: int = COLUMNS_SHOWN) -> list[ShownColumn]:
    return [_shown(column, version.row_count or 0) for column in version.columns.all()[:limit]]


def _shown(column: Column, row_count: int) -> ShownColumn:
    return ShownColumn(
        column=column,
        chart=distribution(column, row_count),
        missing_share=column.missing_count / row_count if row_count else 0.0,
        minimum=_shown_value(column.minimum),
        quantiles=[_shown_value(column.profile["quantiles"].get(share)) for share in QUANTILES_SHOWN],
        maximum=_shown_value(column.maximum),
        warnings=[WARNINGS[code] for code in column.warnings if code in WARNINGS],
    )


def distribution(column: Column, row_count: int) -> charts.Histogram | None:
    """A histogram of numbers and times, bars of the most common values otherwise; None where all values differ."""
    label = f"Distribution of {column.name}"
    if histogram := column.profile["histogram"]:
        return _histogram(label, histogram["edges"], histogram["counts"])
    top = [(_shown_value(one["value"]), one["count"]) for one in column.profile["top"][:BARS]]
    if not top or top[0][1] == 1:
        return None
    present = row_count - column.missing_count
    rest = present - sum(count for _, count in top)
    chart = charts.category_histogram(label, [*top, ("other values", rest)] if rest else top)
    return replace(chart, low=top[0][0], high=format_percent(top[0][1] / present))


def _histogram(label: str, edges: list[Any], counts: list[int]) -> charts.Histogram:
    # Dates and times come as text, so the bins are drawn by their number and named by their edges.
    names = [_shown_value(edge) for edge in edges]
    return charts.histogram(label, range(len(edges)), counts, text=lambda index: names[int(index)])


def _shown_value(value: Any) -> str:
    match value:
        case None:
            return ABSENT
        case bool():
            return str(value).lower()
        case int():
            return format_count(value)
        case float():
            return format_significant(value)
    return str(value)


def recent_jobs(dataset: Dataset) -> Iterable[Job]:
    """What was done with a dataset in the background, newest first."""
    return Job.objects.filter(subject_id=dataset.pk).order_by("-id")[:JOBS_SHOWN]
