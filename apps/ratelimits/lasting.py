"""Calls that hold places keep them for as long as they last; only those of a process that dies come free by themselves.

Imports no Django: the data plane extends too.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from apps.ratelimits.engine import Limiter
from apps.ratelimits.rules import Algorithm, Decision

LOOKED_AFTER_S = 0.2
EXTENDED_AFTER = 1 / 3  # of the time that a place is held, of which the shortest is a second


@dataclass(slots=True)
class Lasting:
    """A call that holds places, and when they are to be extended."""

    decision: Decision
    every_s: float
    due_at: float


class LastingCalls:
    """The calls under way in this process that hold places. Threads may share one; all of them tell one clock."""

    def __init__(self) -> None:
        self._calls: dict[str, Lasting] = {}

    def __bool__(self) -> bool:
        return bool(self._calls)

    def begin(self, decision: Decision, now: float) -> bool:
        """Whether the call holds places, and is extended from now on."""
        windows = [rule.window_ms for rule in decision.rules if rule.algorithm is Algorithm.LEASES]
        if not windows:
            return False
        every_s = min(windows) / 1000 * EXTENDED_AFTER
        self._calls[decision.id] = Lasting(decision, every_s, now + every_s)
        return True

    def end(self, decision: Decision) -> bool:
        """Whether it was extended until now."""
        return self._calls.pop(decision.id, None) is not None

    def due(self, now: float) -> list[Decision]:
        """Those to extend now."""
        calls = [call for call in list(self._calls.values()) if call.due_at <= now]
        for call in calls:
            call.due_at = now + call.every_s
        return [call.decision for call in calls]


class Extender:
    """Extends the calls of a process that waits, by a thread of its own."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        self._calls = LastingCalls()
        self._begun = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def begin(self, decision: Decision) -> None:
        if self._calls.begin(decision, time.monotonic()):
            self._begun.set()
            with self._lock:
                if self._thread is None or not self._thread.is_alive():
                    self._thread = threading.Thread(target=self._run, name="limits-extend", daemon=True)
                    self._thread.start()

    def end(self, decision: Decision) -> None:
        """The call is over: its places come free."""
        self._calls.end(decision)
        self._limiter.release(decision)

    def _run(self) -> None:
        while self._begun.wait():
            self._begun.clear()
            while self._calls:
                time.sleep(LOOKED_AFTER_S)
                for decision in self._calls.due(time.monotonic()):
                    self._limiter.extend(decision)
