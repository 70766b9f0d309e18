"""Overload: a share of the calls is refused before anything is done for them, so that the rest is answered in time.

How late the event loop comes to what it was to do is how long everything waits in this process. While that is too
long, the share that is refused grows with every look; when it is short again the share shrinks, more slowly.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

from prometheus_client import Counter

from apps.core.edge import problem
from apps.core.errors import DomainError

Send = Callable[[dict[str, Any]], Awaitable[None]]
LOOK_INTERVAL_S = 0.02
LATE_S = 0.04
GROWTH, MOST_GROWTH, DECAY = 0.02, 0.08, 0.005  # a look
MOST = 0.95  # somebody always gets through, which shows when it is over


class Shedding:
    """Decides which calls an overloaded process refuses."""

    def __init__(self) -> None:
        self.share = 0.0
        self._look: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._plan(asyncio.get_running_loop())

    def close(self) -> None:
        if self._look:
            self._look.cancel()

    def refuses(self) -> bool:
        return self.share > 0 and random.random() < self.share  # noqa: S311

    def _plan(self, loop: asyncio.AbstractEventLoop) -> None:
        due = loop.time() + LOOK_INTERVAL_S
        self._look = loop.call_at(due, self._take_a_look, loop, due)

    def _take_a_look(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        self.share = changed(self.share, loop.time() - due)
        self._plan(loop)


def changed(share: float, late_s: float) -> float:
    """The share to refuse after a look that came so late."""
    if late_s > LATE_S:
        return min(share + min(GROWTH * late_s / LATE_S, MOST_GROWTH), MOST)
    return max(share - DECAY, 0.0)


class Overloaded(DomainError):
    code = "overloaded"
    status = 503
    detail = "More calls come than this process can answer. Try again in a second; nothing was done for this one."
    headers = {"Retry-After": "1"}


# Made before, because a refusal that costs as much as an answer helps nobody.
OVERLOADED = problem(Overloaded(), "")
HEADERS = [*OVERLOADED.headers, (b"content-length", str(len(OVERLOADED.body)).encode())]
SHED = Counter("modelyard_edge_shed_calls", "Calls refused because the process was overloaded.")


async def shed(send: Send) -> None:
    """Refuse a call that nobody has looked at."""
    SHED.inc()
    await send({"type": "http.response.start", "status": OVERLOADED.status, "headers": HEADERS})
    await send({"type": "http.response.body", "body": OVERLOADED.body})
