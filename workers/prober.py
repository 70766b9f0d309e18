"""The prober lives in the beat process: what watches over the workers must not be one of them."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import Any

import structlog
from celery.signals import beat_init

log = structlog.get_logger(__name__)


@beat_init.connect
def start_prober(**_: Any) -> None:
    threading.Thread(target=_probe_forever, name="prober", daemon=True).start()


def _probe_forever() -> None:
    from apps.console.status.rounds import INTERVAL, Rounds, tick

    rounds = Rounds()
    while True:
        at = tick(datetime.now(UTC))
        try:
            rounds.run(at)
        # A probe may meet anything; the next round has to come whatever this one met.
        except Exception:
            log.exception("probe_round_failed")
        time.sleep(max(0.0, (at + INTERVAL - datetime.now(UTC)).total_seconds()))
