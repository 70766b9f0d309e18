"""Where each stream's events go: which columns an event becomes, and how it is checked before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
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


@dataclass(frozen=True, slots=True)
class Table:
    """One stream and its table. The first two columns are the event's id and its organization."""

    stream: str
    name: str
    topic: str
    columns: tuple[Column, ...]

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
TABLES = (USAGE, CALLS)
