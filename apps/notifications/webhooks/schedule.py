"""When a message that was not taken is sent again, pure."""

from __future__ import annotations

from datetime import datetime, timedelta

DELAYS = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
)
GIVES_UP_AFTER = timedelta(hours=72)


def end_of(began_at: datetime) -> datetime:
    """When it is given up."""
    return began_at + GIVES_UP_AFTER


def next_attempt(failures: int, began_at: datetime, now: datetime) -> datetime | None:
    """When to try again after `failures` (1, 2, ...), or None when the time is over.

    The last attempt is made when the time ends, so that whoever recovers within it is reached.
    """
    ends_at = end_of(began_at)
    if now >= ends_at:
        return None
    return min(now + DELAYS[min(failures, len(DELAYS)) - 1], ends_at)
