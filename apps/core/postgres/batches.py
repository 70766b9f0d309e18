"""Deleting much without holding it for long."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

BATCH = 1_000


def delete_in_batches(rows: QuerySet[Any]) -> int:
    """Delete `rows`, each thousand in a transaction of its own; how many those were."""
    count = 0
    while batch := list(rows.values_list("pk", flat=True)[:BATCH]):
        rows.model.objects.filter(pk__in=batch).delete()
        count += len(batch)
    return count
