"""Health checks: every replica is asked over HTTP whether it can answer. Imports no Django."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from apps.deployments.connections import Connections, ReplicaUnreachable

PATH = "/v2/health/ready"
TIMEOUT_S = 1.0


class Prober:
    """Asks replicas all at once, over connections that it keeps."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._connections: dict[str, Connections] = {}

    def ask(self, addresses: Collection[str]) -> set[str]:
        """Those of `addresses` that answer in time that they are ready."""
        for gone in self._connections.keys() - set(addresses):
            self._connections.pop(gone).close()
        return self._runner.run(self._ask_all(addresses))

    def close(self) -> None:
        for connections in self._connections.values():
            connections.close()
        self._runner.close()

    async def _ask_all(self, addresses: Collection[str]) -> set[str]:
        answers = await asyncio.gather(*(self._is_ready(address) for address in addresses))
        return {address for address, is_ready in zip(addresses, answers, strict=True) if is_ready}

    async def _is_ready(self, address: str) -> bool:
        connections = self._connections.setdefault(address, Connections(address))
        try:
            async with asyncio.timeout(TIMEOUT_S):
                reply = await connections.request("GET", PATH, "probe", b"")
        except (ReplicaUnreachable, TimeoutError):
            return False
        return reply.status == 200
