"""The ledger's rows as a file."""

from __future__ import annotations

import io
import json
from tempfile import TemporaryFile
from typing import BinaryIO, cast

from django.db.models import QuerySet

from apps.core.spreadsheets import write_csv
from apps.usage.models import UsageEvent

COLUMNS = ("id", "occurred_at", "meter", "quantity", "cost_micro_usd", "model", "token", "dimensions")
CHUNK = 2000


def csv_file(events: QuerySet[UsageEvent]) -> BinaryIO:
    """All of `events`, newest first, as CSV on disk: memory does not grow with their number."""
    rows = events.order_by("-id").values_list(*COLUMNS)
    file = cast(BinaryIO, TemporaryFile())  # noqa: SIM115 - the response that sends it closes it
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    write_csv(text, COLUMNS, ((*row[:-1], json.dumps(row[-1], sort_keys=True)) for row in rows.iterator(CHUNK)))
    text.detach()
    file.seek(0)
    return file
