"""One line for each request. Imports no Django: the data plane writes the same lines.

A path may carry a secret, such as the key of a password reset, so an address is told by its route, and by its own
path only where nothing but ids stands in it. Query strings are never told.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, Protocol

from pydantic_core import to_json

LOGGER = "access"
UNMATCHED = "unmatched"

_REGEX_PARAMETER = re.compile(r"\(\?P<(\w+)>[^)]*\)")
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{1,18}")


def route_of(match: Any) -> str:
    """The route behind Django's resolver match, with the names of what varies; one word for all that match none."""
    return _readable(match.route) if match else UNMATCHED


def shown_path(path: str, match: Any) -> str:
    if match is None:
        return UNMATCHED
    captured = {name: str(value) for name, value in match.captured_kwargs.items() if name != "organization_slug"}
    return path if all(map(_ID.fullmatch, captured.values())) else route_of(match)


@cache
def _readable(route: str) -> str:
    return "/" + _REGEX_PARAMETER.sub(r"<\1>", route).replace("^", "").replace("$", "").replace("\\Z", "")


def without_address(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: what Django says about a request, with its route in the place of its path."""
    request = getattr(event.get("_record"), "request", None)
    if request is not None and hasattr(request, "path"):
        shown = shown_path(request.path, getattr(request, "resolver_match", None))
        event["event"] = str(event["event"]).replace(request.path, shown)
    return event


class Sink(Protocol):
    def write(self, text: str, /) -> Any: ...
    def flush(self) -> Any: ...


class BatchedLines:
    """The access log of a process that answers thousands of calls a second: lines are kept, and written together.

    `add` keeps what a line is made of; `write` makes and writes them. They look like every other line of the process,
    but nothing masks them: their fields are ids and names of ours.
    """

    def __init__(self, stream: Sink, *, is_json: bool) -> None:
        self._stream = stream
        self._render: Callable[[dict[str, Any]], str] = _json_line if is_json else _console_line
        self._waiting: list[tuple[float, dict[str, Any]]] = []
        self.is_on = logging.getLogger(LOGGER).isEnabledFor(logging.INFO)

    def add(self, at: float, fields: dict[str, Any]) -> None:
        """Keep a line; `at` is in seconds of the epoch."""
        if self.is_on:
            self._waiting.append((at, fields))

    def write(self) -> None:
        if not self._waiting:
            return
        lines, self._waiting = self._waiting, []
        self._stream.write("".join(self._render(_line(at, fields)) for at, fields in lines))
        self._stream.flush()


def _line(at: float, fields: dict[str, Any]) -> dict[str, Any]:
    moment = datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
    return {**fields, "event": "request", "logger": LOGGER, "level": "info", "timestamp": moment}


def _json_line(line: dict[str, Any]) -> str:
    return to_json(line).decode() + "\n"


def _console_line(line: dict[str, Any]) -> str:
    named = " ".join(f"{name}={value}" for name, value in line.items() if name not in _LEADING)
    return f"{line['timestamp']} [info     ] request [{LOGGER}] {named}\n"


_LEADING = {"timestamp", "level", "event", "logger"}
