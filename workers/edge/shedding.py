"""Overload: a share of the calls is refused before anything is done for them, so that the rest is answered in time.

How late the event loop comes to what it was to do is how long everything waits in this process. While that is too
long, and calls crowd in, the share that is refused grows with every look; when it is short again the share shrinks,
more slowly. A process that is late with few calls is kept from its work by others, and to refuse would help nobody.
"""

from __future__ import annotations

import asyncio
import random
import re
from http import HTTPStatus

from prometheus_client import Counter

from apps.core.edge import Refusal, problem
from apps.core.errors import DomainError
from apps.gateway.dialects.faces import refused_anthropic, refused_openai

LOOK_INTERVAL_S = 0.02
LATE_S = 0.04
CROWD = 8  # calls between two looks
GROWTH, MOST_GROWTH, DECAY = 0.04, 0.12, 0.004  # a look
MOST = 0.95  # somebody always gets through, which shows when it is over
LENGTH = re.compile(rb"\r\ncontent-length: *(\d{1,9})\r", re.IGNORECASE)
HEAD_END = b"\r\n\r\n"


class Overloaded(DomainError):
    code = "overloaded"
    status = 503
    detail = "More calls come than this process can answer. Try again in a second; nothing was done for this one."
    headers = {"Retry-After": "1"}


def _written(refusal: Refusal) -> bytes:
    answer = refusal(Overloaded(), "")
    status = HTTPStatus(answer.status)
    fields = [*answer.headers, (b"content-length", b"%d" % len(answer.body))]
    lines = [b"HTTP/1.1 %d %b" % (status, status.phrase.encode()), *(b"%b: %b" % field for field in fields)]
    return b"\r\n".join(lines) + HEAD_END + answer.body


# Made before, because a refusal that costs as much as an answer helps nobody. The first that fits counts.
REFUSALS = {
    b"POST /v1/messages": _written(refused_anthropic),
    b"POST /v1/": _written(refused_openai),
    b"POST /v2/models/": _written(problem),
}
SHEDDABLE = tuple(REFUSALS)
SHED = Counter("modelyard_edge_shed_calls", "Calls refused because the process was overloaded.")


class Shedding:
    """Decides which calls an overloaded process refuses."""

    def __init__(self) -> None:
        self.share = 0.0
        self._came = 0
        self._look: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._plan(asyncio.get_running_loop())

    def close(self) -> None:
        if self._look:
            self._look.cancel()

    def answer(self, request: bytes) -> bytes | None:
        """The refusal of a request, if it is to be refused and came in one piece; parts of others may be under way."""
        self._came += 1
        if not self.share or random.random() >= self.share:  # noqa: S311
            return None
        if not request.startswith(SHEDDABLE) or not is_whole(request):
            return None
        SHED.inc()
        return next(refusal for start, refusal in REFUSALS.items() if request.startswith(start))

    def _plan(self, loop: asyncio.AbstractEventLoop) -> None:
        due = loop.time() + LOOK_INTERVAL_S
        self._look = loop.call_at(due, self._take_a_look, loop, due)

    def _take_a_look(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        came, self._came = self._came, 0
        self.share = changed(self.share, loop.time() - due, came)
        self._plan(loop)


def changed(share: float, late_s: float, came: int) -> float:
    """The share to refuse after a look that came so late, and so many calls before it."""
    if late_s > LATE_S and came >= CROWD:
        return min(share + min(GROWTH * late_s / LATE_S, MOST_GROWTH), MOST)
    return max(share - DECAY, 0.0)


def is_whole(request: bytes) -> bool:
    """Whether the bytes are one request with all of its body, which says how long it is."""
    end = request.find(HEAD_END)
    length = LENGTH.search(request, 0, end + 2) if end >= 0 else None
    return length is not None and len(request) == end + len(HEAD_END) + int(length[1])
