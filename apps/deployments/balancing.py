"""Which replica gets the next call: power of two choices on load, with passive health. Pure.

Two replicas are drawn at random and the less loaded one is taken (Mitzenmacher, 2001), which never herds. Load is the
peak-sensitive moving average of the latency, times the calls in flight ("peak EWMA", as in Finagle): a replica that
turns slow loses its calls at once, and gets them back slowly.
"""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

DECAY_S = 1.0
EJECTION_S = 0.5
MAX_EJECTION_S = 15.0
ERRORS_TO_EJECT = 3


@dataclass(slots=True)
class Health:
    """What calls have shown of one replica. All times are seconds of one monotonic clock."""

    in_flight: int = 0
    latency_s: float = 0.0
    observed_at: float = 0.0
    errors: int = 0
    ejections: int = 0
    ejected_until: float = 0.0

    def load(self, now: float) -> float:
        # The decay lets a replica that was slow once be tried again without being called.
        decayed = self.latency_s * math.exp((self.observed_at - now) / DECAY_S)
        return (decayed + 1e-6) * (self.in_flight + 1)

    def is_available(self, now: float) -> bool:
        return self.ejected_until <= now

    def succeed(self, latency_s: float, now: float) -> None:
        weight = math.exp((self.observed_at - now) / DECAY_S)
        average = self.latency_s * weight + latency_s * (1 - weight)
        self.latency_s = max(latency_s, average)
        self.observed_at = now
        self.errors = self.ejections = 0

    def fail(self, now: float, *, is_unreachable: bool) -> None:
        """Count an error; an unreachable replica, or one with several errors in a row, gets no calls for a while."""
        self.errors += 1
        # Calls that were in flight together fail together: that is one fault, not many.
        if self.is_available(now) and (is_unreachable or self.errors >= ERRORS_TO_EJECT):
            self.ejected_until = now + min(EJECTION_S * 2**self.ejections, MAX_EJECTION_S)
            self.ejections += 1


class HasHealth(Protocol):
    @property
    def health(self) -> Health: ...


Candidate = TypeVar("Candidate", bound=HasHealth)


def choose(replicas: Sequence[Candidate], now: float, tried: Collection[Candidate] = ()) -> Candidate | None:
    """A replica for the next attempt, None when each was tried. When all are ejected the first to return is tried."""
    available = [r for r in replicas if r.health.ejected_until <= now and r not in tried]
    if len(available) > 1:
        first, second = _two_of(available)
        return first if first.health.load(now) <= second.health.load(now) else second
    if available:
        return available[0]
    untried = [replica for replica in replicas if replica not in tried]
    return min(untried, key=lambda replica: replica.health.ejected_until, default=None)


def _two_of(replicas: Sequence[Candidate]) -> tuple[Candidate, Candidate]:
    """Two different ones at random; `random.sample` takes ten times as long."""
    first = int(random.random() * len(replicas))  # noqa: S311
    second = int(random.random() * (len(replicas) - 1))  # noqa: S311
    return replicas[first], replicas[second + (second >= first)]
