"""Where each stream's events go: which columns an event becomes, and how it is checked before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg.types.json import Jsonb
from pydantic_core import from_json

Row = tuple[Any, ...]
Convert = Callable[[Any], Any]


class MalformedEvent(Exception):
    """An event that cannot become a row, and why."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column, its SQL type, the event's field it is made of, and the conversion that refuses what does not fit."""

    name: str
    sql_type: str
    field: str
    convert: Convert


# Each takes the rows of one organization from `incoming`.
INSERT_ONCE: LiteralString = (
    "INSERT INTO {target} ({columns}) SELECT {columns} FROM {incoming}"
    " WHERE organization_id = %s ON CONFLICT DO NOTHING"
)
# Several processes tell of one token, in any order: the newest counts, a minute after the last one and never before it.
KEEP_LAST_USE: LiteralString = (
    "UPDATE {target} AS kept SET last_used_at = newest.last_used_at,"
    " last_used_address = newest.last_used_address, last_used_agent = newest.last_used_agent"
    " FROM (SELECT DISTINCT ON (id) {columns} FROM {incoming}"
    " WHERE organization_id = %s ORDER BY id, last_used_at DESC) AS newest"
    " WHERE kept.organization_id = newest.organization_id AND kept.id = newest.id"
    " AND (kept.last_used_at IS NULL OR kept.last_used_at <= newest.last_used_at - interval '1 minute')"
)


@dataclass(frozen=True, slots=True)
class Table:
    """One stream, its table and how it is written. The first two columns are a row's id and its organization."""

    stream: str
    name: str
    topic: str
    columns: tuple[Column, ...]
    statement: LiteralString = INSERT_ONCE

    def row(self, raw: bytes | None) -> Row:
        """The event as a row. Raises MalformedEvent."""
        if raw is None:
            raise MalformedEvent("there is no field `e`")
        try:
            event = from_json(raw, allow_inf_nan=False)
        except ValueError as error:
            raise MalformedEvent(f"not JSON: {error}") from error
        if not isinstance(event, dict):
            raise MalformedEvent("not a JSON object")
        return tuple(_converted(column, event) for column in self.columns)


def _converted(column: Column, event: Mapping[str, Any]) -> Any:
    try:
        return column.convert(event.get(column.field))
    except (TypeError, ValueError, AttributeError) as error:
        raise MalformedEvent(f"field `{column.field}`: {error}") from error


def _id(value: Any) -> UUID:
    return UUID(value)


def _optional(convert: Convert) -> Convert:
    return lambda value: None if value is None else convert(value)


def _integer(lowest: int, highest: int) -> Convert:
    def convert(value: Any) -> int:
        if type(value) is not int or not lowest <= value <= highest:
            raise ValueError(f"{value!r} is not a whole number from {lowest} to {highest}")
        return value

    return convert


def _text(max_chars: int) -> Convert:
    def convert(value: Any) -> str:
        # PostgreSQL text cannot hold NUL; callers choose paths and names.
        return str(value or "").replace("\x00", "\N{REPLACEMENT CHARACTER}")[:max_chars]

    return convert


def _meter(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 64 or not value.isprintable():
        raise ValueError(f"{value!r} is not a meter")
    return value


def _time(value: Any) -> datetime:
    time = datetime.fromisoformat(value)
    if time.tzinfo is None:
        raise ValueError(f"{value!r} has no time zone")
    return time


def _object(value: Any) -> Jsonb:
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return Jsonb({str(key): item for key, item in value.items() if item is not None})


BIGINT = _integer(0, 2**63 - 1)

USAGE = Table(
    "events:usage",
    "usage_usageevent",
    "usage",
    (
        Column("id", "uuid", "id", _id),
        Column("organization_id", "uuid", "organization_id", _id),
        Column("meter", "text", "meter", _meter),
        Column("quantity", "bigint", "quantity", BIGINT),
        Column("cost_micro_usd", "bigint", "cost_micro_usd", _optional(BIGINT)),
        Column("occurred_at", "timestamptz", "at", _time),
        Column("dimensions", "jsonb", "dimensions", _object),
    ),
)
CALLS = Table(
    "events:calls",
    "logs_callrecord",
    "calls",
    (
        Column("id", "uuid", "id", _id),
        Column("organization_id", "uuid", "organization_id", _id),
        Column("request_id", "text", "request_id", _text(64)),
        Column("occurred_at", "timestamptz", "at", _time),
        Column("method", "text", "method", _text(16)),
        Column("path", "text", "path", _text(500)),
        Column("route", "text", "route", _text(200)),
        Column("status", "int", "status", _integer(100, 599)),
        Column("latency_us", "bigint", "latency_us", BIGINT),
        Column("request_bytes", "bigint", "request_bytes", BIGINT),
        Column("response_bytes", "bigint", "response_bytes", BIGINT),
        Column("token_id", "uuid", "token", _optional(_id)),
        Column("deployment_id", "uuid", "deployment", _optional(_id)),
        Column("replica_id", "uuid", "replica", _optional(_id)),
        Column("model", "text", "model", _text(200)),
        Column("error_code", "text", "error_code", _text(64)),
        Column("client", "text", "client", _text(64)),
    ),
)
TOKENS = Table(
    "events:tokens",
    "organizations_apitoken",
    "tokens",
    (
        Column("id", "uuid", "token", _id),
        Column("organization_id", "uuid", "organization_id", _id),
        Column("last_used_at", "timestamptz", "at", _time),
        Column("last_used_address", "text", "client", _text(45)),
        Column("last_used_agent", "text", "agent", _text(200)),
    ),
    KEEP_LAST_USE,
)
TABLES = (USAGE, CALLS, TOKENS)
