"""Tells a worker to look at a queue. A ring that gets lost is made up for by the sweeper."""

from __future__ import annotations

import structlog
from django.db import transaction
from kombu.exceptions import OperationalError

log = structlog.get_logger(__name__)


def ring_on_commit(queue: str) -> None:
    transaction.on_commit(lambda: ring(queue))


def ring(queue: str) -> None:
    from apps.jobs.tasks import look

    try:
        look.apply_async(args=(queue,), queue=queue, retry=False)
    except OperationalError as error:
        log.warning("doorbell_unreachable", queue=queue, error=str(error))
