"""How a web process shows that it is ready."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from workers.supervisor.ports import HOST
from workers.supervisor.processes import Probe

TIMEOUT_S = 5.0


def http_ok(port: int, path: str = "/healthz") -> Probe:
    """Whether GET `path` answers 200."""

    async def is_ready() -> bool:
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(TIMEOUT_S):
                return await status_of(port, path) == 200
        return False

    return is_ready


async def status_of(port: int, path: str) -> int:
    """Status of one GET; 0 when the answer is not HTTP."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nConnection: close\r\n\r\n".encode())
        words = (await reader.readline()).split()
        return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
    finally:
        writer.close()
