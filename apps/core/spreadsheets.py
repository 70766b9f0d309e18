"""CSV that is safe to open in a spreadsheet."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

# A cell that begins with one of these is a formula to a spreadsheet (OWASP, "CSV Injection").
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


class TextFile(Protocol):
    def write(self, text: str, /) -> Any: ...


def write_csv(file: TextFile, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table; texts that would be formulas get an apostrophe before them, numbers stay numbers, times UTC."""
    writer = csv.writer(file)
    writer.writerow(header)
    writer.writerows([safe_cell(value) for value in row] for row in rows)


def safe_cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
