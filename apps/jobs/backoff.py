"""When a failed attempt is tried again: exponential, full jitter (Brooker, "Exponential Backoff And Jitter", 2015)."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Before attempt n + 1 a random share of `base_s` x 2^n is waited, at most `cap_s`."""

    base_s: float = 1.0
    cap_s: float = 60.0

    def delay_s(self, attempt: int, draw: float | None = None) -> float:
        """Seconds to wait after `attempt` (1, 2, ...) failed; `draw` in [0, 1) replaces the random number."""
        ceiling = min(self.cap_s, self.base_s * 2 ** min(attempt, 30))
        return ceiling * (random.random() if draw is None else draw)  # noqa: S311 - spreads load, guards nothing
