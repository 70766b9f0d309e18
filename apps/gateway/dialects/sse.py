"""Server-sent events as they come from upstreams: parsed for what they say, kept byte for byte for who reads them.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream. Imports no Django.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MOST_EVENT_BYTES = 8 * 1024 * 1024
BOM = b"\xef\xbb\xbf"
# The end of a line and an empty line after it. A carriage return may be the first half of a line's end.
END = re.compile(rb"\r\n\r\n|\n\n|\r\r(?!\n)|\r\n\n|\n\r\n|\r\r\n|\n\r(?!\n)|\r\n\r(?!\n)")
DONE = b"[DONE]"


class Malformed(Exception):
    """What came is no stream of events."""


@dataclass(slots=True)
class Event:
    """One event: its bytes with the empty line at its end, its name, and its data."""

    raw: bytes
    name: str = ""
    data: bytes = b""

    @property
    def is_done(self) -> bool:
        return self.data == DONE


def event(data: bytes, name: str = "") -> Event:
    """An event of ours."""
    raw = b"data: %b\n\n" % data
    return Event(b"event: %b\n%b" % (name.encode(), raw) if name else raw, name, data)


class Parser:
    """Takes a stream in pieces of any size and gives the events that are whole."""

    def __init__(self) -> None:
        self._waiting = b""
        self._is_first = True

    @property
    def is_between(self) -> bool:
        """Whether nothing of an unfinished event is left."""
        return not self._waiting.strip()

    def feed(self, piece: bytes) -> list[Event]:
        """Raises Malformed for an event that is too large."""
        waiting = self._waiting + piece if self._waiting else piece
        found, start = [], 0
        # A piece that ends in a carriage return may be continued by the other half of its line's end.
        most = len(waiting) - 1 if waiting.endswith(b"\r") else len(waiting)
        while end := END.search(waiting, start, most):
            raw = waiting[start : end.end()]
            start = end.end()
            found.append(self._read(raw))
        self._waiting = waiting[start:]
        if len(self._waiting) > MOST_EVENT_BYTES:
            raise Malformed("an event does not end")
        return found

    def _read(self, raw: bytes) -> Event:
        text = raw
        if self._is_first:
            self._is_first = False
            text = raw.removeprefix(BOM)
        # The one form that nearly every upstream sends.
        if text.startswith(b"data: ") and text.find(b"\n") == len(text) - 2 and b"\r" not in text:
            return Event(raw, "", text[6:-2])
        return _fields(raw, text)


def _fields(raw: bytes, text: bytes) -> Event:
    name, data = "", []
    for line in re.split(rb"\r\n|\n|\r", text):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode("utf-8", "replace")
    return Event(raw, name, b"\n".join(data))
