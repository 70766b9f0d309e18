"""Celery's entry points. A message carries no work, only the name of a queue to look at."""

from __future__ import annotations

import os
import socket

from celery import shared_task


def worker_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


@shared_task(name="jobs.look")
def look(queue: str) -> None:
    """Run what is due in `queue` until nothing is left."""
    from apps.jobs import dispatch, running

    while claim := dispatch.claim(queue, worker_name()):
        running.execute(claim)
