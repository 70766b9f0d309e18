"""CSV that is safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from tempfile import TemporaryFile
from typing import Any, BinaryIO, Protocol, cast

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


def csv_file(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> BinaryIO:
    """The rows as CSV on disk, from its beginning: memory does not grow with their number."""
    file = cast(BinaryIO, TemporaryFile())  # noqa: SIM115 - the response that sends it closes it
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    write_csv(text, header, rows)
    text.detach()
    file.seek(0)
    return file
