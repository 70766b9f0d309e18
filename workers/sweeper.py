"""The sweeper lives in the beat process: it must run while every worker is busy with the work it watches over."""

from __future__ import annotations

import threading
import time
from typing import Any

import structlog
from celery.signals import beat_init
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connections

log = structlog.get_logger(__name__)


@beat_init.connect
def start_sweeper(**_: Any) -> None:
    threading.Thread(target=_sweep_forever, name="sweeper", daemon=True).start()


def _sweep_forever() -> None:
    from apps.jobs import sweeping

    while True:
        try:
            if count := sweeping.sweep():
                log.info("leases_expired", count=count)
        except (DatabaseError, InterfaceError) as error:
            log.warning("sweep_failed", error=str(error))
            connections.close_all()
        time.sleep(settings.JOB_SWEEP_SECONDS)
