"""The zip of an export, written member by member: rows, files, and a manifest that tells what each of them is."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import BinaryIO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from django.utils import timezone
from pydantic_core import to_json

from apps.console.data_rights import contents
from apps.core import storage, tenancy
from apps.core.errors import NotFound
from apps.core.formatting import format_count
from apps.organizations.models import Organization

SCHEMA_VERSION = 1
EXPORTS = "exports"  # the folder of exports themselves, which no export holds
ROWS_SHARE = 0.7

Progress = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class Member:
    """One file inside the zip."""

    name: str
    size_bytes: int
    sha256: str
    row_count: int | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """How much an export holds."""

    row_count: int
    file_count: int


def write(target: BinaryIO, on_progress: Progress) -> Summary:
    """Write the scope's export into `target`. Memory does not grow with the organization.

    Rows and files are as they are when their turn comes; what is deleted before that is not in it.
    """
    with ZipFile(target, "w", ZIP_DEFLATED) as archive:
        rows = list(_add_tables(archive, on_progress))
        files = list(_add_files(archive, on_progress))
        _add(archive, "manifest.json", [_manifest([*rows, *files])])
    return Summary(sum(member.row_count or 0 for member in rows), len(files))


def _add_tables(archive: ZipFile, on_progress: Progress) -> Iterator[Member]:
    counted = [(table, table.count()) for table in contents.tables()]
    total, done = sum(count for _, count in counted) or 1, 0
    for table, count in counted:
        told = partial(_tell_rows, on_progress, table.label, count, done, total)
        yield _add(archive, f"rows/{table.name}.jsonl", _lines(table, told), in_rows=True)
        done += count


def _lines(table: contents.Table, told: Callable[[int], None]) -> Iterator[bytes]:
    written = 0
    for count, lines in table.chunks():
        written += count
        told(written)
        yield lines


def _tell_rows(on_progress: Progress, label: str, count: int, before: int, total: int, written: int) -> None:
    share = min((before + written) / total, 1) * ROWS_SHARE
    on_progress(share, f"{label}: {format_count(written)} of {format_count(max(count, written))} rows")


def _add_files(archive: ZipFile, on_progress: Progress) -> Iterator[Member]:
    total, done = sum(file.size_bytes for file in _files()) or 1, 0
    for file in _files():
        share = ROWS_SHARE + min(done / total, 1) * (1 - ROWS_SHARE)
        on_progress(share, f"files/{PurePosixPath(file.path).name}")
        with suppress(NotFound), storage.open_stream(file.path) as stream:
            yield _add(archive, f"files/{_inside(file.path)}", _pieces(stream))
        done += file.size_bytes


def _files() -> Iterator[storage.StoredFile]:
    for file in storage.stored_files():
        is_draft = PurePosixPath(file.path).name.startswith(".")
        if not is_draft and not _inside(file.path).startswith(f"{EXPORTS}/"):
            yield file


def _inside(path: str) -> str:
    """The path below the organization's folder."""
    return path.partition("/")[2]


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    while piece := stream.read(storage.CHUNK_BYTES):
        yield piece


def _add(archive: ZipFile, name: str, pieces: Iterable[bytes], *, in_rows: bool = False) -> Member:
    info = ZipInfo(name, date_time=timezone.now().timetuple()[:6])
    info.compress_type = ZIP_DEFLATED
    digest, size, lines = hashlib.sha256(), 0, 0
    with archive.open(info, "w", force_zip64=True) as member:
        for piece in pieces:
            member.write(piece)
            digest.update(piece)
            size += len(piece)
            lines += piece.count(b"\n") if in_rows else 0
    return Member(name, size, digest.hexdigest(), lines if in_rows else None)


def _manifest(members: list[Member]) -> bytes:
    organization = Organization.objects.get(pk=tenancy.current_tenant_id())
    document = {
        "schema_version": SCHEMA_VERSION,
        "organization": {"id": str(organization.pk), "slug": organization.slug, "name": organization.name},
        "made_at": timezone.now(),
        "left_out": {label: sorted(columns) for label, columns in sorted(contents.LEFT_OUT.items())},
        "members": [asdict(member) for member in members],
    }
    return to_json(document, indent=2)
