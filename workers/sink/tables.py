"""Where each stream's events go: how an event is checked, and which line of PostgreSQL's COPY it becomes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import itemgetter
from typing import Any, LiteralString, NamedTuple

from pydantic_core import CoreConfig, SchemaValidator, ValidationError, core_schema, to_json

Event = Mapping[str, Any]
NULL = r"\N"
SPECIAL = re.compile(r"[\\\t\n\r]")
ESCAPES = {"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"}


class MalformedEvent(Exception):
    """An event that cannot become a row, and why."""


class Rows(NamedTuple):
    """Lines as COPY reads them, and whose they are."""

    lines: list[str]
    organizations: set[str]


@dataclass(frozen=True, slots=True)
class Column:
    """A column, its SQL type, the event's field it is made of, what that has to be, and how COPY is told of what is
    not told as it is, and of None."""

    name: str
    sql_type: str
    field: str
    schema: core_schema.CoreSchema
    told: Callable[[Any], str] | None = None
    told_none: str = NULL

    @property
    def is_optional(self) -> bool:
        return self.schema["type"] == "default"


# What happens to the rows that were copied to `incoming`. Rows that are there already stay as they are.
INSERT_ONCE: LiteralString = "INSERT INTO {target} ({columns}) SELECT {columns} FROM {incoming} ON CONFLICT DO NOTHING"
# Several processes tell of one token, in any order: the newest counts, a minute after the last one and never before it.
KEEP_LAST_USE: LiteralString = (
    "UPDATE {target} AS kept SET last_used_at = newest.last_used_at,"
    " last_used_address = newest.last_used_address, last_used_agent = newest.last_used_agent"
    " FROM (SELECT DISTINCT ON (organization_id, id) {columns} FROM {incoming}"
    " ORDER BY organization_id, id, last_used_at DESC) AS newest"
    " WHERE kept.organization_id = newest.organization_id AND kept.id = newest.id"
    " AND (kept.last_used_at IS NULL OR kept.last_used_at <= newest.last_used_at - interval '1 minute')"
)


@dataclass(frozen=True, slots=True)
class Table:
    """One stream, its table and how it is written. What no column sees by itself, the table itself refuses."""

    stream: str
    name: str
    topic: str
    columns: tuple[Column, ...]
    statement: LiteralString = INSERT_ONCE
    _validator: SchemaValidator = field(init=False, repr=False, compare=False)
    _values: Callable[[Event], tuple[Any, ...]] = field(init=False, repr=False, compare=False)
    _told: list[tuple[str, Callable[[Any], str] | None, str]] = field(init=False, repr=False, compare=False)
    _line: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        event = core_schema.typed_dict_schema(
            {one.field: core_schema.typed_dict_field(one.schema) for one in self.columns}
        )
        validator = SchemaValidator(core_schema.list_schema(event), CoreConfig(strict=True))
        object.__setattr__(self, "_validator", validator)
        object.__setattr__(self, "_values", itemgetter(*(one.field for one in self.columns)))
        told = [(one.field, one.told, one.told_none) for one in self.columns if one.told or one.is_optional]
        object.__setattr__(self, "_told", told)
        object.__setattr__(self, "_line", "\t".join(["%s"] * len(self.columns)) + "\n")

    def rows(self, events: Sequence[bytes]) -> Rows:
        """The events, each a JSON object, as rows. Raises MalformedEvent if one of them is none."""
        try:
            found = self._validator.validate_json(b"[%b]" % b",".join(events))
        except ValidationError as error:
            raise MalformedEvent(_reason(error)) from error
        if len(found) != len(events):
            raise MalformedEvent("an event is not one object")
        for event in found:
            for name, tell, none in self._told:
                value = event[name]
                if value is None:
                    event[name] = none
                elif tell:
                    event[name] = tell(value)
        lines = [self._line % self._values(event) for event in found]
        return Rows(lines, {event["organization_id"] for event in found})


def _reason(error: ValidationError) -> str:
    """What is wrong, without what the event says."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(map(str, first["loc"][1:]))
    return f"field `{place}`: {first['msg']}" if place else first["msg"]


def _escaped(value: str) -> str:
    return SPECIAL.sub(lambda found: ESCAPES[found[0]], value) if SPECIAL.search(value) else value


def _cut(value: str, max_chars: int) -> str:
    # PostgreSQL's text cannot hold NUL; callers choose paths and names.
    return _escaped(value.replace("\x00", "\N{REPLACEMENT CHARACTER}")[:max_chars])


def _object(value: Mapping[str, Any]) -> str:
    return _json(value if None not in value.values() else {name: one for name, one in value.items() if one is not None})


def _json(value: Any) -> str:
    return to_json(value).decode().replace("\\", r"\\")  # JSON itself escapes tabs and line ends


def _truth(value: bool) -> str:
    return "t" if value else "f"


def _count(name: str) -> Column:
    """A column of a number that the event need not have."""
    return Column(name, "bigint", name, _optional(BIGINT))


def _text(name: str, max_chars: int, field: str = "") -> Column:
    """A column of text, empty if the event does not have it."""
    return Column(
        name,
        "text",
        field or name,
        _optional(core_schema.str_schema()),
        partial(_cut, max_chars=max_chars),
        told_none="",
    )


def _optional(schema: core_schema.CoreSchema) -> core_schema.CoreSchema:
    return core_schema.with_default_schema(core_schema.nullable_schema(schema), default=None)


ID = core_schema.str_schema(pattern="^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")
ID_WITH_TIME = core_schema.str_schema(pattern="^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
TIME = core_schema.str_schema(
    pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)$", regex_engine="rust-regex"
)
# A sum has all dimensions and the meter in its key, which fits into a page of its index.
METER = core_schema.str_schema(pattern="^[A-Za-z0-9_.:-]{1,64}$")
BIGINT = core_schema.int_schema(ge=0, le=2**63 - 1)
# A sum takes thousands of the largest.
AMOUNT = core_schema.int_schema(ge=0, le=10**15)
LONGEST_BODY = 1_000_000

USAGE = Table(
    "events:usage",
    "usage_usageevent",
    "usage",
    (
        Column("id", "uuid", "id", ID_WITH_TIME),
        Column("organization_id", "uuid", "organization_id", ID),
        Column("meter", "text", "meter", METER),
        Column("quantity", "bigint", "quantity", AMOUNT),
        Column("cost_micro_usd", "bigint", "cost_micro_usd", _optional(AMOUNT)),
        Column("occurred_at", "timestamptz", "at", TIME),
        Column("dimensions", "jsonb", "dimensions", core_schema.dict_schema(core_schema.str_schema()), _object),
    ),
)
CALLS = Table(
    "events:calls",
    "logs_callrecord",
    "calls",
    (
        Column("id", "uuid", "id", ID),
        Column("organization_id", "uuid", "organization_id", ID),
        _text("request_id", 64),
        Column("occurred_at", "timestamptz", "at", TIME),
        _text("method", 16),
        _text("path", 500),
        _text("route", 200),
        Column("status", "int", "status", core_schema.int_schema(ge=100, le=599)),
        Column("latency_us", "bigint", "latency_us", BIGINT),
        Column("request_bytes", "bigint", "request_bytes", BIGINT),
        Column("response_bytes", "bigint", "response_bytes", BIGINT),
        Column("token_id", "uuid", "token", _optional(ID)),
        Column("deployment_id", "uuid", "deployment", _optional(ID)),
        Column("replica_id", "uuid", "replica", _optional(ID)),
        _text("model", 200),
        _text("error_code", 64),
        _text("client", 64),
    ),
)
TOKENS = Table(
    "events:tokens",
    "organizations_apitoken",
    "tokens",
    (
        Column("id", "uuid", "token", ID),
        Column("organization_id", "uuid", "organization_id", ID),
        Column("last_used_at", "timestamptz", "at", TIME),
        _text("last_used_address", 45, "client"),
        _text("last_used_agent", 200, "agent"),
    ),
    KEEP_LAST_USE,
)
MODELS = Table(
    "events:models",
    "gateway_modelcall",
    "model-calls",
    (
        Column("id", "uuid", "id", ID),
        Column("organization_id", "uuid", "organization_id", ID),
        Column("occurred_at", "timestamptz", "at", TIME),
        _text("request_id", 64),
        _text("face", 16),
        _text("route", 200),
        Column("route_id", "uuid", "route_id", _optional(ID)),
        Column("upstream_id", "uuid", "upstream_id", _optional(ID)),
        _text("upstream", 100),
        _text("model", 200),
        Column("status", "int", "status", core_schema.int_schema(ge=100, le=599)),
        _text("error_code", 64),
        _text("error_class", 32),
        Column("is_stream", "boolean", "is_stream", core_schema.bool_schema(), _truth),
        Column("latency_us", "bigint", "latency_us", BIGINT),
        _count("first_token_us"),
        _count("input_tokens"),
        _count("cached_tokens"),
        _count("cache_write_tokens"),
        _count("output_tokens"),
        _count("reasoning_tokens"),
        Column("is_estimated", "boolean", "is_estimated", core_schema.bool_schema(), _truth),
        _count("cost_micro_usd"),
        _count("saved_micro_usd"),
        _text("cache", 16),
        Column("attempts", "jsonb", "attempts", core_schema.list_schema(core_schema.dict_schema()), _json),
        Column("tags", "jsonb", "tags", core_schema.dict_schema(), _json),
        Column("token_id", "uuid", "token", _optional(ID)),
        Column("user_id", "uuid", "user", _optional(ID)),
        _text("client", 64),
        _text("experiment", 100),
        _text("fault", 100),
        Column("request_bytes", "bigint", "request_bytes", BIGINT),
        Column("response_bytes", "bigint", "response_bytes", BIGINT),
    ),
)
BODIES = Table(
    "events:bodies",
    "gateway_modelcallbody",
    "model-calls",
    (
        Column("id", "uuid", "id", ID),
        Column("organization_id", "uuid", "organization_id", ID),
        Column("expires_at", "timestamptz", "expires_at", TIME),
        _text("request", LONGEST_BODY),
        _text("response", LONGEST_BODY),
    ),
)
TABLES = (USAGE, CALLS, TOKENS, MODELS, BODIES)
