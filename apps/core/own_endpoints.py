"""Asks the installation's own addresses, which only the operator sets. Imports no Django."""

from __future__ import annotations

from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

UNUSABLE = 0


def status_of(url: str, timeout_s: float) -> int:
    """Status of a GET; 0 when what answers does not speak HTTP. Raises OSError, TimeoutError among it."""
    return answer_of(url, timeout_s, 0)[0]


def answer_of(url: str, timeout_s: float, most_bytes: int) -> tuple[int, bytes]:
    """The same, with the beginning of the body."""
    parts = urlsplit(url)
    make = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = make(parts.hostname or "", parts.port, timeout=timeout_s)
    try:
        connection.request("GET", parts.path, headers={"User-Agent": "modelyard-probe"})
        response = connection.getresponse()
        return response.status, response.read(most_bytes) if most_bytes else b""
    except HTTPException:
        return UNUSABLE, b""
    finally:
        connection.close()
