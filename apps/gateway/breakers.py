"""Circuit breakers: an upstream that fails gets no calls for a while, and then one that shows whether it is back. Pure.

Source: M. Nygard, Release It!, chapter 5. Times are seconds of one monotonic clock. Imports no Django.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from dataclasses import dataclass, field
from enum import StrEnum

from apps.gateway.enums import ErrorClass

WINDOW_S = 30.0
LEAST_CALLS = 10
FAILED_SHARE = 0.5
FAILED_IN_A_ROW = 5
OPEN_S, MOST_OPEN_S = 2.0, 60.0
MINUTES = 5  # for which failures are counted
# A limit or a refused key is one key's, and a model that is not there one target's: the server itself is well.
COUNTED = frozenset(
    {
        ErrorClass.OVERLOADED,
        ErrorClass.SERVER_ERROR,
        ErrorClass.TIMEOUT,
        ErrorClass.UNREACHABLE,
        ErrorClass.BROKEN,
    }
)


class State(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(slots=True)
class Breaker:
    """What calls have shown of one upstream. Ask `lets_pass` before a call and tell its end by `succeed` or `fail`."""

    open_until: float = 0.0
    openings: int = 0
    _in_a_row: int = 0
    _is_probed: bool = False
    _ends: deque[tuple[float, bool]] = field(default_factory=deque)
    _failed: int = 0

    def state(self, now: float) -> State:
        if not self.openings:
            return State.CLOSED
        return State.OPEN if now < self.open_until else State.HALF_OPEN

    def may_pass(self, now: float) -> bool:
        return not self.openings or (now >= self.open_until and not self._is_probed)

    def pass_one(self, now: float) -> None:
        """A call goes through; while half open it is the one that shows whether the upstream is back."""
        self._is_probed = self.state(now) == State.HALF_OPEN

    def succeed(self, now: float) -> None:
        self._in_a_row = 0
        if self.openings:
            self.openings, self._is_probed = 0, False
            self._ends.clear()
            self._failed = 0
        self._count(now, is_failure=False)

    def fail(self, now: float) -> None:
        self._in_a_row += 1
        self._count(now, is_failure=True)
        if self.state(now) == State.HALF_OPEN or (not self.openings and self._is_bad):
            self._open(now)

    def give_up(self) -> None:
        """A call that showed nothing of the upstream has ended."""
        self._is_probed = False

    @property
    def _is_bad(self) -> bool:
        calls = len(self._ends)
        return self._in_a_row >= FAILED_IN_A_ROW or (calls >= LEAST_CALLS and self._failed >= FAILED_SHARE * calls)

    def _open(self, now: float) -> None:
        wait = min(OPEN_S * 2**self.openings, MOST_OPEN_S)
        self.open_until = now + wait * (0.5 + random.random() / 2)  # noqa: S311 - so that processes do not ask together
        self.openings += 1
        self._is_probed = False

    def _count(self, now: float, *, is_failure: bool) -> None:
        self._ends.append((now, is_failure))
        self._failed += is_failure
        while self._ends[0][0] < now - WINDOW_S or len(self._ends) > 1_000:
            self._failed -= self._ends.popleft()[1]


@dataclass(slots=True)
class Failures:
    """How many calls failed lately, by class: in this minute and the four before it."""

    _minutes: deque[tuple[int, Counter[str]]] = field(default_factory=lambda: deque(maxlen=MINUTES))

    def note(self, error_class: ErrorClass, now: float) -> None:
        minute = int(now // 60)
        if not self._minutes or self._minutes[-1][0] != minute:
            self._minutes.append((minute, Counter()))
        self._minutes[-1][1][error_class.value] += 1

    def lately(self, now: float) -> dict[str, int]:
        first = int(now // 60) - MINUTES + 1
        counts: Counter[str] = Counter()
        for minute, of_minute in self._minutes:
            if minute >= first:
                counts.update(of_minute)
        return dict(counts)
