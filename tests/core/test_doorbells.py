"""A ring that nobody hears is not an error for whoever rings."""

from __future__ import annotations

from celery import Celery
from structlog.testing import capture_logs

from apps.core import doorbells

UNREACHABLE = "redis://127.0.0.1:1/0"


def test_a_broker_that_is_away_is_logged_and_delays_nobody() -> None:
    look = Celery("ringing", broker=UNREACHABLE).task(name="look")(_look)
    with capture_logs() as lines:
        doorbells.ring(look, "data", queue="data")
    [line] = lines
    assert (line["event"], line["task"], line["args"]) == ("doorbell_unreachable", "look", ("data",))


def _look(queue: str) -> None: ...
