"""The load generator, a process of its own: sends one request over and over on kept-alive connections.

Reads jobs as JSON lines, `{"port", "path", "headers", "body", "clients", "seconds"}`, and answers each with the figures
of `Tally.figures`. With `rate` the requests come at that many a second, answered or not, on `clients` connections at
most; a request's time then begins when it was due. Raw protocols on uvloop: far quicker than what it measures.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter, deque
from typing import Any, cast

import uvloop

TICK_S = 0.001
LAST_CHUNK = b"0\r\n\r\n"


class Tally:
    """What came back, and how long it took."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.statuses: Counter[str] = Counter()
        self.started = time.perf_counter()

    def note(self, due: float, now: float, status: str) -> None:
        self.statuses[status] += 1
        if status == "200":
            self.latencies.append(now - due)

    def figures(self) -> dict[str, Any]:
        """Times are of what was answered with 200."""
        elapsed = time.perf_counter() - self.started
        count, times = sum(self.statuses.values()), sorted(self.latencies) or [0.0]
        percentiles = {f"p{n}_us": times[len(times) * n // 100] * 1e6 for n in (50, 95, 99)}
        rates = {"per_second": count / elapsed, "good_per_second": len(self.latencies) / elapsed}
        return {**percentiles, **rates, "errors": count - len(self.latencies), "statuses": dict(self.statuses)}


class Closed:
    """Each client asks again as soon as it is answered."""

    def __init__(self, seconds: float) -> None:
        self.until = time.perf_counter() + seconds

    def begin(self, client: Client) -> None:
        client.send(time.perf_counter())

    def answered(self, client: Client, now: float) -> None:
        if now < self.until:
            client.send(now)
        else:
            client.transport.close()


class Open:
    """Requests are due at a rate of their own; one that finds no free connection waits for it."""

    def __init__(self, seconds: float, rate: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._gap = 1 / rate
        self._next = time.perf_counter()
        self.until = self._next + seconds
        self._idle: list[Client] = []
        self._due: deque[float] = deque()
        self._loop.call_soon(self._tick)

    def begin(self, client: Client) -> None:
        self._idle.append(client)

    def answered(self, client: Client, now: float) -> None:
        if self._due and now < self.until:
            client.send(self._due.popleft())
        elif now < self.until:
            self._idle.append(client)
        else:
            client.transport.close()

    def _tick(self) -> None:
        now = time.perf_counter()
        while self._next <= now:
            self._due.append(self._next)
            self._next += self._gap
        while self._due and self._idle:
            self._idle.pop().send(self._due.popleft())
        if now < self.until:
            self._loop.call_later(TICK_S, self._tick)
        else:
            for client in self._idle:
                client.transport.close()


class Client(asyncio.Protocol):
    def __init__(self, request: bytes, pace: Closed | Open, tally: Tally) -> None:
        self.request, self.pace, self.tally = request, pace, tally
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.pace.begin(self)

    def send(self, due: float) -> None:
        self.due = due
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.received += data
        if not _is_complete(self.received):
            return
        now = time.perf_counter()
        self.tally.note(self.due, now, self.received[9:12].decode())
        self.received = b""
        self.pace.answered(self, now)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


def _is_complete(received: bytes) -> bool:
    head, separator, body = received.partition(b"\r\n\r\n")
    if not separator:
        return False
    _, told, length = head.lower().partition(b"content-length:")
    return len(body) >= int(length.partition(b"\r\n")[0]) if told else body.endswith(LAST_CHUNK)


async def measure(job: dict[str, Any]) -> dict[str, Any]:
    request, tally = _request(job), Tally()
    pace = Open(job["seconds"], job["rate"]) if job.get("rate") else Closed(job["seconds"])
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: Client(request, pace, tally), "127.0.0.1", job["port"])
        for _ in range(job["clients"])
    ]
    await asyncio.gather(*(client.done for _, client in made))
    return tally.figures()


def _request(job: dict[str, Any]) -> bytes:
    body = job["body"].encode()
    headers = {"host": "127.0.0.1", "content-type": "application/json", "content-length": len(body), **job["headers"]}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {job['path']} HTTP/1.1\r\n{lines}\r\n".encode() + body


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(uvloop.run(measure(json.loads(line)))), flush=True)
