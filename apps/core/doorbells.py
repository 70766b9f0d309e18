"""Tells a worker to look at a table. A ring that gets lost is made up for by the clock, so nobody waits for it."""

from __future__ import annotations

from typing import Any

import structlog
from celery import Task
from kombu.exceptions import OperationalError

log = structlog.get_logger(__name__)


def ring(task: Task, *args: str, **options: Any) -> None:
    """Queue `task` with Celery's `options`. A broker that is away is logged and no error."""
    try:
        task.apply_async(args=args, retry=False, **options)
    except OperationalError as error:
        log.warning("doorbell_unreachable", task=task.name, args=args, error=str(error))
