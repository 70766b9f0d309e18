"""Calls of models as a file."""

from __future__ import annotations

import json
from typing import BinaryIO

from django.db.models import QuerySet

from apps.core.spreadsheets import csv_file as written
from apps.gateway.models import ModelCall

COLUMNS = (
    "id",
    "occurred_at",
    "request_id",
    "route",
    "upstream",
    "model",
    "status",
    "error_code",
    "error_class",
    "latency_us",
    "first_token_us",
    "input_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "is_estimated",
    "cost_micro_usd",
    "saved_micro_usd",
    "cache",
    "token_id",
    "user_id",
    "tags",
)
CHUNK = 2000


def csv_file(calls: QuerySet[ModelCall]) -> BinaryIO:
    """All of `calls`, newest first, as CSV on disk."""
    rows = calls.order_by("-id").values_list(*COLUMNS).iterator(CHUNK)
    return written(COLUMNS, ((*row[:-1], json.dumps(row[-1], sort_keys=True)) for row in rows))
