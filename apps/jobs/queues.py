"""What operators do with queues. Each act stands in the console's own history of the queue."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from django.db import transaction
from django.db.models.functions import Now

from apps.core import operators
from apps.core.actors import Actor
from apps.jobs import doorbell, errors, kinds
from apps.jobs.enums import OUTSIDE
from apps.jobs.models import Queue, Worker

# A worker tells of itself every moment; one that is silent for so long is gone or hangs.
SILENT_AFTER = timedelta(seconds=15)
# For how long a process of an organization's own is remembered on its pages.
SHOWN_FOR = timedelta(days=1)


def declare(using: str = "default") -> None:
    """Write down every queue that the code knows, so that each can be seen and drained."""
    Queue.objects.using(using).bulk_create(
        [Queue(name=name) for name in (*kinds.queues(), OUTSIDE)], ignore_conflicts=True
    )


@transaction.atomic
def drain(queue: Queue, *, because: str, by: Actor) -> Queue:
    """Take nothing more from the queue. What runs goes on, what is submitted waits.

    Everybody reads the reason. Raises `QueueDrained`, `OperatorNeeded`.
    """
    queue = _locked(queue)
    if queue.drained_at:
        raise errors.QueueDrained(queue=queue.name)
    queue.drained_at, queue.drained_because, queue.drained_by = Now(), because[:200], by.label[:200]
    return _save(queue, f"Drained: {queue.drained_because}", by)


@transaction.atomic
def resume(queue: Queue, *, by: Actor) -> Queue:
    """Take jobs from the queue again. Raises `QueueNotDrained`, `OperatorNeeded`."""
    queue = _locked(queue)
    if not queue.drained_at:
        raise errors.QueueNotDrained(queue=queue.name)
    queue.drained_at, queue.drained_because, queue.drained_by = None, "", ""
    doorbell.ring_on_commit(*[queue.name] * doorbell.MOST_RINGS)  # for every worker that waits
    return _save(queue, "Resumed", by)


def _locked(queue: Queue) -> Queue:
    return Queue.objects.select_for_update().get(pk=queue.pk)


def _save(queue: Queue, what: str, by: Actor) -> Queue:
    operators.note(by, queue, what)
    queue.save()
    queue.refresh_from_db()
    return queue


def drained() -> list[Queue]:
    """What the operator has drained."""
    return list(Queue.objects.filter(drained_at__isnull=False).order_by("name"))


def serving() -> dict[str, int]:
    """How many living workers serve each queue of ours."""
    alive = Worker.objects.filter(heartbeat_at__gt=Now() - SILENT_AFTER).values_list("queues", flat=True)
    counted = Counter(name for served in alive for name in served)
    return {name: counted[name] for name in kinds.queues()}


def unserved() -> list[str]:
    """The queues of ours that no living worker serves."""
    return [name for name, count in serving().items() if not count]
