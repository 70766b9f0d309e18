"""Signs of life of processes that serve no requests. Imports no Django: the sink leaves them too."""

from __future__ import annotations

import time

import redis

INTERVAL_S = 5.0
SILENT_AFTER_S = 30.0
KEPT_S = 86_400
KEY = "heartbeat:{process}"


class Heartbeat:
    """Leaves a sign of life every few seconds, however often it is asked to. A Redis that is away is left alone."""

    def __init__(self, client: redis.Redis, process: str) -> None:
        self._redis = client
        self._key = KEY.format(process=process)
        self._next = 0.0

    def beat(self) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + INTERVAL_S
        try:
            self._redis.set(self._key, time.time_ns(), ex=KEPT_S)
        except redis.RedisError:
            # What watches over Redis itself tells that it is away.
            return


def age_s(client: redis.Redis, process: str) -> float | None:
    """Seconds since the last sign of life of any process of that name; None when there was none in a day."""
    last = client.get(KEY.format(process=process))
    return max(0.0, (time.time_ns() - int(last)) / 1e9) if last else None


def is_alive(client: redis.Redis, process: str) -> bool:
    age = age_s(client, process)
    return age is not None and age < SILENT_AFTER_S
