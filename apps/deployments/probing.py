"""Health checks: every replica is asked over HTTP whether it can answer. Imports no Django."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

REQUEST = b"GET /v2/health/ready HTTP/1.1\r\nhost: replica\r\nconnection: close\r\n\r\n"
HEALTHY = b"HTTP/1.1 200 "
TIMEOUT_S = 1.0


class Prober:
    """Asks replicas all at once, each time over a new connection: one that cannot accept is not healthy either."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()

    def ask(self, addresses: Collection[str]) -> set[str]:
        """Those of `addresses` (host:port) that answer in time that they are ready."""
        return self._runner.run(_healthy(addresses))

    def close(self) -> None:
        self._runner.close()


async def _healthy(addresses: Collection[str]) -> set[str]:
    answers = await asyncio.gather(*map(_is_healthy, addresses))
    return {address for address, is_healthy in zip(addresses, answers, strict=True) if is_healthy}


async def _is_healthy(address: str) -> bool:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return (await _answer(address)).startswith(HEALTHY)
    except (OSError, EOFError, TimeoutError):
        return False


async def _answer(address: str) -> bytes:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(REQUEST)
        return await reader.readexactly(len(HEALTHY))
    finally:
        writer.close()
