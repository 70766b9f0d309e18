"""Parts of names in the trail, found at nearly the same cost however long it is.

Row-level security forbids PostgreSQL an index for a part of a text. So what many of the newest entries say is found by
walking the trail from its newest entry, and anything else by the database function `audit_named`, which may use one.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.db import connection
from django.db.models import BooleanField, Count, F, Func, Q, QuerySet, UUIDField, Value
from django.db.models.functions import Lower, StrIndex
from django.db.models.lookups import GreaterThan

LABELS = ("actor_label", "operator_label", "subject_label")
# The index knows groups of three letters.
SHORTEST = 3
# Where 20 of the newest 1,000 say it, a page of 50 stands among the newest few thousand.
NEWEST, COMMON = 1000, 20
# More ids than these are not worth handing over; an old and common name is found by walking, too.
MOST = 5000


class IsAmong(Func):
    """`column = ANY(values)`: one parameter, however many values there are."""

    template = "%(expressions)s)"
    arg_joiner = " = ANY("
    output_field = BooleanField()

    def __init__(self, column: str, values: list[UUID]) -> None:
        super().__init__(F(column), Value(values, output_field=ArrayField(UUIDField())))


def named(entries: QuerySet[Any], part: str) -> QuerySet[Any]:
    """Those of `entries` in whose person's, operator's or subject's name `part` stands, in any case of its letters."""
    says = _says(part)
    newest = entries.order_by("-id")[:NEWEST].aggregate(seen=Count("pk"), saying=Count("pk", filter=says))
    if newest["seen"] < NEWEST or newest["saying"] >= COMMON:
        return entries.filter(says)
    found = _found(part)
    return entries.filter(says if found is None else IsAmong("pk", found))


def _found(part: str) -> list[UUID] | None:
    """The ids of all entries that name it; None for more than `MOST`."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT audit_named(%s, %s)", [part, MOST])
        return cursor.fetchone()[0]


def _says(part: str) -> Q:
    # Not LIKE: PostgreSQL would take it for so rare that it reads the whole trail and sorts what it found.
    said = Q()
    for label in LABELS:
        said |= Q(GreaterThan(StrIndex(Lower(label), Lower(Value(part))), 0))
    return said
