"""Proof that the sums of the ledger are its rows added up, and their repair. Reads all organizations."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import redis
import structlog
from django.conf import settings
from django.db import connections, transaction
from django.utils import timezone

from apps.organizations import queries as organizations
from apps.usage.models import DIMENSIONS, UsageDay, UsageSum

KEY = "ledger:checked"
CHUNK = 1_000
NAMES = ("meter", *DIMENSIONS)
# Who makes partitions waits for this lock before it takes one that everybody would have to wait behind.
NO_NEW_PARTITIONS = "SELECT pg_advisory_xact_lock_shared(hashtext('usage_make_partitions'))"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Span:
    """A table of sums: the column that says of when, and how that follows from an event."""

    table: str
    column: str
    of_event: str


SPANS = (
    Span(UsageSum._meta.db_table, "at", "date_bin('30 minutes', occurred_at, '2000-01-01T00:00:00Z')"),
    Span(UsageDay._meta.db_table, "day", "(occurred_at AT TIME ZONE 'UTC')::date"),
)


@dataclass(frozen=True, slots=True)
class Totals:
    quantity: int
    cost_micro_usd: int | None
    event_count: int


@dataclass(frozen=True, slots=True)
class Difference:
    """A sum that is not its rows added up. None: there is no such sum, or there are no such rows."""

    table: str
    organization_id: UUID
    at: datetime | date
    names: dict[str, str]
    rows: Totals | None
    sums: Totals | None

    def __str__(self) -> str:
        named = " ".join(f"{name}={value}" for name, value in self.names.items() if value)
        return f"{self.table} {self.organization_id} {self.at.isoformat()} {named}: rows {self.rows}, sum {self.sums}"


def differences(organization_id: UUID | None = None) -> Iterator[Difference]:
    """Each sum that differs from its rows, all as of one moment. Memory does not grow with the ledger.

    Organizations that are being erased are left out: their rows and sums go one after the other.
    """
    leaving = list(organizations.due_for_erasure().values_list("pk", flat=True))
    with _snapshot() as connection:
        for span in SPANS:
            with connection.connection.cursor(name="check_ledger") as cursor:
                cursor.itersize = CHUNK
                cursor.execute(_comparison(span), {"organization": organization_id, "leaving": leaving})
                for row in cursor:
                    yield _difference(span, row)


def repair(organization_id: UUID) -> None:
    """Make the organization's sums anew from its rows. Nobody writes to the ledger meanwhile."""
    with transaction.atomic(using="console"), connections["console"].cursor() as cursor:
        cursor.execute(NO_NEW_PARTITIONS)
        cursor.execute("LOCK TABLE usage_usageevent IN SHARE MODE")
        for span in SPANS:
            cursor.execute(f"DELETE FROM {span.table} WHERE organization_id = %s", [organization_id])  # noqa: S608
            cursor.execute(_sums_anew(span), {"organization": organization_id, "leaving": []})
    log.warning("ledger_repaired", organization=str(organization_id))


def check_all() -> int:
    """Check every organization, and leave the result where the status page and operators look. How many differ."""
    count = 0
    for count, difference in enumerate(differences(), start=1):  # noqa: B007 - the last number is how many there were
        log.error("ledger_differs", difference=str(difference))
    redis_client().set(KEY, json.dumps({"at": timezone.now().isoformat(), "differences": count}))
    log.info("ledger_checked", differences=count)
    return count


def last_check() -> dict[str, Any] | None:
    """When all was checked last, and how many sums differed."""
    found: Any = redis_client().get(KEY)
    return json.loads(found) if found else None


def redis_client() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=10, socket_connect_timeout=2)


@contextmanager
def _snapshot() -> Iterator[Any]:
    connection = connections["console"]
    with transaction.atomic(using="console"):
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            cursor.execute(NO_NEW_PARTITIONS)
        yield connection


def _quoted(*names: str) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _added_up(span: Span) -> str:
    return f"""
        SELECT organization_id, {span.of_event} AS "{span.column}", {_quoted(*NAMES)},
            sum(quantity)::bigint AS quantity, sum(cost_micro_usd)::bigint AS cost_micro_usd, count(*) AS event_count
        FROM usage_usageevent
        WHERE {_wanted()}
        GROUP BY organization_id, "{span.column}", {_quoted(*NAMES)}
    """  # noqa: S608 - names of ours


def _wanted() -> str:
    return (
        "(%(organization)s::uuid IS NULL OR organization_id = %(organization)s)"
        " AND organization_id <> ALL(%(leaving)s::uuid[])"
    )


def _comparison(span: Span) -> str:
    key = _quoted("organization_id", span.column, *NAMES)
    totals = ("quantity", "cost_micro_usd", "event_count")
    of_rows, of_sums = (", ".join(f"{one}.{name}" for name in totals) for one in ("added", "kept"))
    return f"""
        SELECT {key}, {of_rows}, {of_sums}
        FROM ({_added_up(span)}) AS added
        FULL JOIN (SELECT {key}, {_quoted(*totals)} FROM {span.table} WHERE {_wanted()}) AS kept USING ({key})
        WHERE ({of_rows}) IS DISTINCT FROM ({of_sums})
    """  # noqa: S608 - names of ours


def _sums_anew(span: Span) -> str:
    columns = _quoted("organization_id", span.column, *NAMES, "quantity", "cost_micro_usd", "event_count")
    return f"""
        INSERT INTO {span.table} (id, created_at, {columns})
        SELECT uuidv7(), now(), {columns} FROM ({_added_up(span)}) AS added
    """  # noqa: S608 - names of ours


def _difference(span: Span, row: tuple[Any, ...]) -> Difference:
    organization_id, at, *rest = row
    names, totals = dict(zip(NAMES, rest, strict=False)), rest[len(NAMES) :]
    return Difference(span.table, organization_id, at, names, _totals(totals[:3]), _totals(totals[3:]))


def _totals(values: list[Any]) -> Totals | None:
    return None if values[2] is None else Totals(*values)
