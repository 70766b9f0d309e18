"""Rows of a version's table as plain values that JSON can carry."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl

Value = str | int | float | bool | None


def read_rows(parquet: Path, offset: int, limit: int, columns: list[str] | None = None) -> list[list[Value]]:
    """Up to `limit` rows from `offset` on, in the file's order. Dates and times are ISO 8601 texts."""
    table = pl.scan_parquet(parquet)
    if columns is not None:
        table = table.select(columns)
    rows = table.slice(offset, limit).collect(engine="streaming").rows()
    return [[_plain(value) for value in row] for row in rows]


def _plain(value: Value | date) -> Value:
    return value.isoformat() if isinstance(value, date) else value
