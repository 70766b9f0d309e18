"""When a failed attempt is tried again: exponential, full jitter (Brooker, "Exponential Backoff And Jitter", 2015)."""

from __future__ import annotations

import random

BASE_SECONDS = 1.0
CAP_SECONDS = 60.0


def delay_seconds(attempt: int, draw: float | None = None) -> float:
    """Seconds to wait after `attempt` (1, 2, ...) failed; `draw` in [0, 1) replaces the random number."""
    ceiling = min(CAP_SECONDS, BASE_SECONDS * 2 ** min(attempt, 30))
    return ceiling * (random.random() if draw is None else draw)  # noqa: S311 - spreads load, guards nothing
