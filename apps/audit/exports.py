"""The trail as a file: CSV for a spreadsheet, or one JSON object a line."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Mapping
from tempfile import TemporaryFile
from typing import Any, BinaryIO, cast

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import QuerySet

from apps.audit.models import AuditEntry
from apps.core.downloads import Download
from apps.core.spreadsheets import write_csv

COLUMNS = (
    "id",
    "created_at",
    "actor_kind",
    "actor_id",
    "actor_label",
    "operator_id",
    "operator_label",
    "action",
    "subject_type",
    "subject_id",
    "subject_label",
    "changes",
    "request_id",
    "address",
)
CHUNK = 2000

Row = Mapping[str, Any]


def _write_csv(text: io.TextIOWrapper, rows: Iterable[Row]) -> None:
    write_csv(text, COLUMNS, (_cells(row) for row in rows))


def _cells(row: Row) -> list[Any]:
    plain = {**row, "created_at": row["created_at"].isoformat(), "changes": json.dumps(row["changes"], sort_keys=True)}
    return [plain[name] for name in COLUMNS]


def _write_jsonl(text: io.TextIOWrapper, rows: Iterable[Row]) -> None:
    text.writelines(json.dumps(row, cls=DjangoJSONEncoder) + "\n" for row in rows)


FORMATS: dict[str, tuple[str, Callable[[io.TextIOWrapper, Iterable[Row]], None]]] = {
    "csv": ("text/csv", _write_csv),
    "jsonl": ("application/jsonl", _write_jsonl),
}


def trail_file(entries: QuerySet[AuditEntry], kind: str) -> BinaryIO:
    """All of `entries`, newest first, on disk: memory does not grow with their number."""
    rows = entries.order_by("-id").values(*COLUMNS).iterator(CHUNK)
    file = cast(BinaryIO, TemporaryFile())  # noqa: SIM115 - the response that sends it closes it
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    FORMATS[kind][1](text, rows)
    text.detach()
    file.seek(0)
    return file


def download(entries: QuerySet[AuditEntry], kind: str) -> Download:
    return Download(
        trail_file(entries, kind), as_attachment=True, filename=f"trail.{kind}", content_type=FORMATS[kind][0]
    )
