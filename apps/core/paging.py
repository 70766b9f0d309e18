"""Keyset paging of a page's list, newest first: the same cost however deep, nothing skipped while rows are added.

`?cursor=<id>` shows the rows after that id, `?cursor=-<id>` the rows before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from apps.core.errors import NotFound

PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class Page:
    """One page of rows, and the cursors of its neighbours (None where there is none)."""

    rows: list[Any]
    next_cursor: str | None
    previous_cursor: str | None


def newest_first(rows: QuerySet[Any], cursor: str = "", size: int = PAGE_SIZE) -> Page:
    """The page of `rows` that `cursor` names. Raises `NotFound` for a cursor this module did not make."""
    if cursor.startswith("-"):
        return _page_before(rows, _row_id(cursor[1:]), size)
    after = rows.filter(id__lt=_row_id(cursor)) if cursor else rows
    found = list(after.order_by("-id")[: size + 1])
    return _page(found[:size], has_next=len(found) > size, has_previous=bool(cursor))


def _page_before(rows: QuerySet[Any], row_id: UUID, size: int) -> Page:
    found = list(rows.filter(id__gt=row_id).order_by("id")[: size + 1])
    return _page(found[:size][::-1], has_next=True, has_previous=len(found) > size)


def _page(rows: list[Any], *, has_next: bool, has_previous: bool) -> Page:
    return Page(
        rows=rows,
        next_cursor=str(rows[-1].pk) if rows and has_next else None,
        previous_cursor=f"-{rows[0].pk}" if rows and has_previous else None,
    )


def _row_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound from None
