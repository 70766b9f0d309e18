"""What is left of an organization anywhere; looked for without the models, so that a table they forgot is found."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import redis
from django.db import connections

from apps.console.data_rights.models import ErasureReceipt
from apps.core import snapshots, storage, tenancy

STREAMS = "events:*"
CHUNK = 1_000  # keys
ENTRIES = 50  # of many events each
# Not information_schema, which leaves out what the role may not read: reading that has to fail loudly.
CARRIERS = """
SELECT relname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
  AND attname = 'organization_id' AND NOT attisdropped AND relname <> %s
"""


def count(client: redis.Redis, organization_id: UUID) -> dict[str, int]:
    """How many rows, files, keys and events are left, by the place where they are. Empty: nothing is."""
    with tenancy.scope(organization_id):
        places = {**_rows(organization_id), "files": sum(1 for _ in storage.stored_files())}
        places["unfinished uploads"] = storage.unfinished_upload_count()
    places["redis keys"] = sum(1 for _ in keys_of(client, organization_id))
    places["redis events"] = sum(1 for _ in entries_of(client, organization_id))
    places["published"] = int(bool(client.sismember(snapshots.INDEX, str(organization_id))))
    return {place: number for place, number in places.items() if number}


def keys_of(client: redis.Redis, organization_id: UUID) -> Iterator[bytes]:
    """Keys with the organization's id in their name."""
    yield from client.scan_iter(match=f"*{organization_id}*", count=CHUNK)


def entries_of(client: redis.Redis, organization_id: UUID) -> Iterator[tuple[bytes, bytes, dict[bytes, bytes]]]:
    """Entries of streams that tell of the organization: the stream, their id and their fields."""
    needle = needle_of(organization_id)
    for stream in client.scan_iter(match=STREAMS, _type="stream"):
        start = "-"
        while entries := _entries(client, stream, start):
            for entry_id, fields in entries:
                if any(needle in value for value in fields.values()):
                    yield stream, entry_id, fields
            start = f"({entries[-1][0].decode()}"


def needle_of(organization_id: UUID) -> bytes:
    """How an event tells of the organization."""
    return str(organization_id).encode()


def _entries(client: redis.Redis, stream: bytes, start: str) -> list[tuple[bytes, dict[bytes, bytes]]]:
    found: Any = client.xrange(stream, min=start, count=ENTRIES)
    return list(found)


def _rows(organization_id: UUID) -> dict[str, int]:
    """Counted as the console's role, which sees every row."""
    connection = connections["console"]
    with connection.cursor() as cursor:
        cursor.execute(CARRIERS, [ErasureReceipt._meta.db_table])
        places = [(table, "organization_id") for (table,) in cursor.fetchall()]
        return {
            table: _row_count(cursor, connection.ops.quote_name(table), column, organization_id)
            for table, column in [*places, ("organizations_organization", "id")]
        }


def _row_count(cursor: Any, table: str, column: str, organization_id: UUID) -> int:
    cursor.execute(f"SELECT count(*) FROM {table} WHERE {column} = %s", [organization_id])  # noqa: S608 - our tables
    number: int = cursor.fetchone()[0]
    return number
