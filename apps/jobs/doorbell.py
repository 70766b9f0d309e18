"""Tells a worker to look at a queue."""

from __future__ import annotations

from django.db import transaction

from apps.core import doorbells


def ring_on_commit(queue: str) -> None:
    transaction.on_commit(lambda: ring(queue))


def ring(queue: str) -> None:
    from apps.jobs.tasks import look

    doorbells.ring(look, queue, queue=queue)
