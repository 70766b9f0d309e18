"""The sweeper lives in the beat process: it must run while every worker is busy with the work it watches over."""

from __future__ import annotations

import threading
import time
from typing import Any

import structlog
from celery.signals import beat_init
from django.conf import settings

log = structlog.get_logger(__name__)


@beat_init.connect
def start_sweeper(**_: Any) -> None:
    threading.Thread(target=_sweep_forever, name="sweeper", daemon=True).start()


def _sweep_forever() -> None:
    from apps.jobs import sweeping

    while True:
        if count := sweeping.sweep()["return_lost"]:
            log.info("leases_expired", count=count)
        time.sleep(settings.JOB_SWEEP_SECONDS)
