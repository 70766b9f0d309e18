"""How often and how soon a call is tried again. Pure, and without Django.

Full jitter: M. Brooker, Exponential Backoff and Jitter. The budget keeps retries from becoming the load that fails.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

FIRST_WAIT_S, MOST_WAIT_S = 0.1, 5.0
BUDGET_SHARE, LEAST_RETRIES, WINDOW_S = 0.1, 30.0, 10.0


def wait_s(retries: int, retry_after_s: float | None) -> float:
    """Seconds before the next attempt at the same upstream."""
    jittered = random.random() * min(FIRST_WAIT_S * 2**retries, MOST_WAIT_S)  # noqa: S311
    return max(jittered, retry_after_s or 0.0)


@dataclass(slots=True)
class Budget:
    """Retries that a route may make: a tenth of its calls, and a few in any case. It refills as time goes by."""

    left: float = LEAST_RETRIES
    most: float = LEAST_RETRIES
    _at: float = 0.0

    def earn(self, now: float) -> None:
        """A call has come."""
        self._refill(now)
        self.most = min(self.most + BUDGET_SHARE, 1_000.0)
        self.left = min(self.left + BUDGET_SHARE, self.most)

    def spend(self, now: float) -> bool:
        """Whether one more attempt may be made."""
        self._refill(now)
        if self.left < 1:
            return False
        self.left -= 1
        return True

    def _refill(self, now: float) -> None:
        passed = max(now - self._at, 0.0)
        self._at = now
        self.most = max(LEAST_RETRIES, self.most - self.most * min(passed / WINDOW_S, 1.0))
        self.left = min(self.left + LEAST_RETRIES * passed / WINDOW_S, self.most)
