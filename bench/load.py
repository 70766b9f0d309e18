"""The load generator, a process of its own: sends one request over and over on kept-alive connections.

Reads jobs as JSON lines, `{"port", "path", "headers", "body", "clients", "seconds"}`, and answers each with
`{"p50_us", "p99_us", "per_second", "errors"}`. Raw protocols on uvloop: far quicker than what it measures.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any, cast

import uvloop


class Client(asyncio.Protocol):
    def __init__(self, request: bytes, until: float, latencies: list[float]) -> None:
        self.request, self.until, self.latencies = request, until, latencies
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.received = b""
        self.errors = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.send()

    def send(self) -> None:
        self.sent_at = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, separator, body = self.received.partition(b"\r\n\r\n")
        if not separator:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        now = time.perf_counter()
        self.latencies.append(now - self.sent_at)
        self.errors += not self.received.startswith(b"HTTP/1.1 200")
        self.received = b""
        if now < self.until:
            self.send()
        else:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def measure(job: dict[str, Any]) -> dict[str, float]:
    request = _request(job)
    latencies: list[float] = []
    started = time.perf_counter()
    clients = []
    for _ in range(job["clients"]):
        _, client = await asyncio.get_running_loop().create_connection(
            lambda: Client(request, started + job["seconds"], latencies), "127.0.0.1", job["port"]
        )
        clients.append(client)
    await asyncio.gather(*(client.done for client in clients))
    elapsed = time.perf_counter() - started
    latencies.sort()
    return {
        "p50_us": latencies[len(latencies) // 2] * 1e6,
        "p99_us": latencies[len(latencies) * 99 // 100] * 1e6,
        "per_second": len(latencies) / elapsed,
        "errors": sum(client.errors for client in clients),
    }


def _request(job: dict[str, Any]) -> bytes:
    body = job["body"].encode()
    headers = {"host": "127.0.0.1", "content-type": "application/json", "content-length": len(body), **job["headers"]}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {job['path']} HTTP/1.1\r\n{lines}\r\n".encode() + body


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(uvloop.run(measure(json.loads(line)))), flush=True)
