"""What goes over the wire, and what can go wrong with it. Imports no Django."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from yarl import URL

Field = tuple[bytes, bytes]


class Trouble(StrEnum):
    """Why no whole answer came."""

    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    BROKEN = "broken"
    TOO_LARGE = "too_large"


class WireError(Exception):
    """`was_sent` says whether the other side may have seen the request."""

    def __init__(self, trouble: Trouble, message: str, *, was_sent: bool = True) -> None:
        super().__init__(message)
        self.trouble, self.was_sent = trouble, was_sent


@dataclass(slots=True)
class Request:
    """What is sent to `url`, which `addresses.parsed` made, and how long that may take.

    Seconds until it is connected, until the head of the answer is there, and between two pieces of it; `deadline` is of
    the event loop's clock.

    One that `is_trusted` goes to an address that the operator set, whatever network that is in.
    """

    method: str
    url: URL
    headers: list[Field]
    body: bytes = b""
    connect_s: float = 5.0
    first_byte_s: float = 60.0
    idle_s: float = 30.0
    deadline: float = float("inf")
    max_bytes: int = 64 * 1024 * 1024
    is_trusted: bool = False

    def encoded(self) -> bytes:
        """The request as HTTP/1.1. Raises ValueError for a header that would be several lines."""
        start = b"%b %b HTTP/1.1" % (self.method.encode(), self.url.raw_path_qs.encode())
        fields = [b"%b: %b" % field for field in self.headers]
        own = (b"accept-encoding: identity", b"content-length: %d" % len(self.body))
        lines = [start, b"host: " + self.authority.encode(), *fields, *own]
        head = b"\r\n".join(lines)
        if head.count(b"\n") != len(lines) - 1 or head.count(b"\r") != len(lines) - 1:
            raise ValueError("a header holds the end of a line")
        return b"%b\r\n\r\n%b" % (head, self.body)

    @property
    def authority(self) -> str:
        host = self.url.raw_host or ""
        named = f"[{host}]" if ":" in host else host
        return named if self.url.is_default_port() else f"{named}:{self.url.port}"
