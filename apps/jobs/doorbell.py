"""Wakes a worker that waits for work. When a ring gets lost, a worker looks by itself a moment later."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from uuid import UUID

import redis
import structlog
from django.conf import settings
from django.db import transaction

from apps.jobs.enums import OUTSIDE

log = structlog.get_logger(__name__)

BELL = "jobs:bell:{name}"
# Who does outside work hears of one kind of one organization, held in the web process (`core.held_calls`).
OUTSIDE_BELL = OUTSIDE + ":{organization_id}:{kind}"
OUTSIDE_CHANNELS = BELL.format(name=f"{OUTSIDE}:*")
# More rings than workers wait are of no use: a worker that is busy looks again when it is done.
MOST_RINGS = 32
LONGEST_WAIT_S = 1.0


def bell_of(organization_id: UUID, queue: str, kind: str) -> str:
    """The name of what is rung for a job: our workers hear of its queue, the organization's own of its kind."""
    return OUTSIDE_BELL.format(organization_id=organization_id, kind=kind) if queue == OUTSIDE else queue


def outside_channel(organization_id: UUID, kind: str) -> str:
    """Where a process hears of an organization's outside work of one kind."""
    return BELL.format(name=OUTSIDE_BELL.format(organization_id=organization_id, kind=kind))


def ring_on_commit(*names: str) -> None:
    transaction.on_commit(lambda: ring(*names))


def ring(*names: str) -> None:
    try:
        for name in names:
            _ring(BELL.format(name=name), is_outside=name.startswith(f"{OUTSIDE}:"))
    except redis.RedisError as error:
        log.warning("doorbell_unreachable", names=names, error=str(error))


def _ring(bell: str, *, is_outside: bool) -> None:
    if is_outside:
        _client().publish(bell, "")
    elif _client().lpush(bell, 1) > MOST_RINGS:
        _client().ltrim(bell, 0, MOST_RINGS - 1)


class Bell:
    """What one worker hears of its queues."""

    def __init__(self, queues: Sequence[str]) -> None:
        self._names = [BELL.format(name=queue) for queue in queues]
        self._client = redis.Redis.from_url(
            settings.REDIS_URL, socket_timeout=LONGEST_WAIT_S + 1, socket_connect_timeout=1, retry=None
        )

    def wait(self) -> bool:
        """Until it rings, a second at most. False, at once, when Redis is away."""
        try:
            self._client.blpop(self._names, timeout=LONGEST_WAIT_S)
        except redis.RedisError:
            return False
        return True


@cache
def _client() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2)
