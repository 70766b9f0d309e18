"""The ledger's rows as a file."""

from __future__ import annotations

import json
from typing import BinaryIO

from django.db.models import QuerySet

from apps.core.spreadsheets import csv_file as written
from apps.usage.models import UsageEvent

COLUMNS = ("id", "occurred_at", "meter", "quantity", "cost_micro_usd", "model", "token", "dimensions")
CHUNK = 2000


def csv_file(events: QuerySet[UsageEvent]) -> BinaryIO:
    """All of `events`, newest first, as CSV on disk."""
    rows = events.order_by("-id").values_list(*COLUMNS).iterator(CHUNK)
    return written(COLUMNS, ((*row[:-1], json.dumps(row[-1], sort_keys=True)) for row in rows))
