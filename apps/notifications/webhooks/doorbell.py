"""Tells a worker to look at the outbox. A ring that gets lost is made up for by the clock, every second."""

from __future__ import annotations

import structlog
from django.db import transaction
from kombu.exceptions import OperationalError

log = structlog.get_logger(__name__)


def ring_on_commit() -> None:
    transaction.on_commit(ring)


def ring() -> None:
    from apps.notifications.tasks import deliver_webhooks

    try:
        deliver_webhooks.apply_async(retry=False, expires=60)
    except OperationalError as error:
        log.warning("doorbell_unreachable", task=deliver_webhooks.name, error=str(error))
