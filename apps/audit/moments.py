"""Entries of a stretch of time, found by their ids, which sort by the time they were made."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from apps.core.ids import least_uuid7

# An entry's id is made a moment before its time is taken, by a clock that may be set between the two.
SLACK = timedelta(minutes=1)


def since(entries: QuerySet[Any], moment: datetime) -> QuerySet[Any]:
    return entries.filter(created_at__gte=moment, id__gte=first_id(moment, -SLACK))


def until(entries: QuerySet[Any], moment: datetime) -> QuerySet[Any]:
    return entries.filter(created_at__lt=moment, id__lt=first_id(moment, SLACK))


def around(rows: QuerySet[Any], moment: datetime) -> QuerySet[Any]:
    """What was made within a minute of `moment`."""
    return rows.filter(id__gte=first_id(moment, -SLACK), id__lt=first_id(moment, SLACK))


def first_id(moment: datetime, shift: timedelta = timedelta()) -> UUID:
    """The smallest version 7 UUID of that millisecond (RFC 9562, 5.7)."""
    return least_uuid7(moment, shift)
