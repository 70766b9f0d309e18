"""The lines of an uploaded file as text: refuses what is not CSV text, and says where."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from apps.datasets import errors

HEAD_BYTES = 65_536
SEPARATORS = (",", ";", "\t", "|")
SAMPLE_RECORDS = 100
UTF8_BOM = b"\xef\xbb\xbf"
SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"PAR1", "a Parquet file"),
    (b"ARROW1", "an Arrow file"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"%PDF-", "a PDF document"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"\x7fELF", "a program"),
)
TEXT_OPENINGS: tuple[tuple[bytes, str], ...] = (
    (b"<!doctype html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<?xml", "an XML document"),
    (b'{"', "a JSON document"),
    (b"[{", "a JSON document"),
)
CONTROL_BYTES = bytes(set(range(32)) - {9, 10, 12, 13, 27})
BINARY_SHARE = 0.02


class TextLines:
    """Iterates over a file's lines as UTF-8 text without its byte order mark, counting lines and bytes.

    Raises the `UnreadableDataset` that fits at the first line that is no CSV text.
    """

    def __init__(self, file: BinaryIO, max_line_bytes: int) -> None:
        self._file = file
        self._max_line_bytes = max_line_bytes
        self.line = 0
        self.bytes_read = 0

    def __iter__(self) -> Iterator[str]:
        if self._file.read(len(UTF8_BOM)) == UTF8_BOM:
            self.bytes_read = len(UTF8_BOM)
        else:
            self._file.seek(0)
        while raw := self._file.readline(self._max_line_bytes + 1):
            self.line += 1
            yield self._decoded(raw)
            self.bytes_read += len(raw)

    def _decoded(self, raw: bytes) -> str:
        if len(raw) > self._max_line_bytes:
            raise errors.LineTooLong(line=self.line, limit_bytes=self._max_line_bytes)
        if b"\x00" in raw:
            raise errors.NulByte(line=self.line)
        try:
            return raw.decode()
        except UnicodeDecodeError as problem:
            raise self._wrong_encoding(raw, problem.start) from None

    def _wrong_encoding(self, raw: bytes, start: int) -> errors.WrongEncoding:
        byte = raw[start : start + 1]
        character = byte.decode("cp1252", "replace")
        guess = f"Windows-1252 (Latin-1), where 0x{byte.hex()} is “{character}”"
        return errors.WrongEncoding(line=self.line, offset=self.bytes_read + start, guess=guess)


def read_head(source: Path) -> bytes:
    """The beginning of the file; raises when it shows that this is no UTF-8 CSV."""
    with source.open("rb") as file:
        head = file.read(HEAD_BYTES)
    check_head(head)
    return head


def check_head(head: bytes) -> None:
    """Raise the `UnreadableDataset` that the first `HEAD_BYTES` of a file call for."""
    if not head.strip():
        raise errors.EmptyFile
    _refuse_other_formats(head)
    _refuse_wide_encodings(head)
    if len(head.translate(None, CONTROL_BYTES)) < len(head) * (1 - BINARY_SHARE):
        raise errors.NotCsv(found="a binary file")


def _refuse_other_formats(head: bytes) -> None:
    opening = head.removeprefix(UTF8_BOM).lstrip()[:64].lower()
    for start, found in SIGNATURES:
        if head.startswith(start):
            raise errors.NotCsv(found=found)
    for start, found in TEXT_OPENINGS:
        if opening.startswith(start):
            raise errors.NotCsv(found=found)


def _refuse_wide_encodings(head: bytes) -> None:
    """UTF-16 and UTF-32 show by their mark, or by a NUL in every second byte of Western text."""
    if head.startswith((b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")):
        raise errors.WrongEncoding(line=1, offset=0, guess="UTF-32")
    even, odd = head[:1024:2].count(0), head[1:1024:2].count(0)
    pairs = min(len(head), 1024) // 2
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or max(even, odd) > 0.9 * pairs > 0:
        raise errors.WrongEncoding(line=1, offset=0, guess="UTF-16")


def sniff_separator(head: bytes) -> str:
    """The separator that gives the header more than one field and most records as many; a comma if none does."""
    text = head.removeprefix(UTF8_BOM).decode("utf-8", "replace")
    lines = text.splitlines(keepends=True)
    whole_lines = lines[:-1] if len(head) == HEAD_BYTES and len(lines) > 1 else lines
    return max(SEPARATORS, key=lambda separator: _agreement(whole_lines, separator))


def _agreement(lines: list[str], separator: str) -> tuple[float, int]:
    records = [row for row in islice(csv.reader(lines, delimiter=separator), SAMPLE_RECORDS) if row]
    width = len(records[0]) if records else 0
    if width < 2:
        return 0.0, 0
    return sum(len(row) == width for row in records) / len(records), width
