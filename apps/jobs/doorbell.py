"""Wakes a worker that waits for work. When a ring gets lost, a worker looks by itself a moment later."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import redis
import structlog
from django.conf import settings
from django.db import transaction

log = structlog.get_logger(__name__)

BELL = "jobs:bell:{queue}"
# More rings than workers wait are of no use: a worker that is busy looks again when it is done.
MOST_RINGS = 32
LONGEST_WAIT_S = 1.0


def ring_on_commit(*queues: str) -> None:
    transaction.on_commit(lambda: ring(*queues))


def ring(*queues: str) -> None:
    try:
        pipeline = _client().pipeline(transaction=False)
        for queue in queues:
            pipeline.lpush(BELL.format(queue=queue), 1)
            pipeline.ltrim(BELL.format(queue=queue), 0, MOST_RINGS - 1)
        pipeline.execute()
    except redis.RedisError as error:
        log.warning("doorbell_unreachable", queues=queues, error=str(error))


class Bell:
    """What one worker hears of its queues."""

    def __init__(self, queues: Sequence[str]) -> None:
        self._names = [BELL.format(queue=queue) for queue in queues]
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
