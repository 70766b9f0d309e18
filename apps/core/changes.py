"""Changing some columns of a row, and telling what changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Model


def apply_changes(row: Model, wanted: Mapping[str, Any]) -> dict[str, list[str]]:
    """Set the columns that `wanted` gives another value; `{column: [before, after]}`, as the trail tells it."""
    changes: dict[str, list[str]] = {}
    for name, new in wanted.items():
        before = getattr(row, name)
        if new != before:
            changes[name] = [_told(before), _told(new)]
            setattr(row, name, new)
    return changes


def _told(value: Any) -> str:
    return "" if value is None else str(value)
