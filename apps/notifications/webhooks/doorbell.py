"""Tells a worker to look at the outbox."""

from __future__ import annotations

from django.db import transaction

from apps.core import doorbells


def ring_on_commit() -> None:
    transaction.on_commit(ring)


def ring() -> None:
    from apps.notifications.tasks import deliver_webhooks

    doorbells.ring(deliver_webhooks, expires=60)
