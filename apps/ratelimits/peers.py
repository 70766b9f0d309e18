"""How many processes of a plane are alive: the share of a limit that each may let pass while Redis is away.

Imports no Django.
"""

from __future__ import annotations

import secrets
from typing import Any

import redis

from apps.ratelimits.local import Local

FORGOTTEN_AFTER_MS = 10_000

_TELL = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('ZCARD', KEYS[1])
"""


class Peers:
    """One process among those of its plane, whose local limiter is to know how many there are."""

    def __init__(self, plane: str, local: Local) -> None:
        self._local = local
        self._key = f"limits:{{installation}}:processes:{plane}"
        self._id = secrets.token_hex(8)

    def tell(self, client: redis.Redis) -> None:
        """Tell that this process is alive, and hear how many are."""
        alive: Any = client.eval(_TELL, 1, self._key, self._id, FORGOTTEN_AFTER_MS)
        self._local.processes = int(alive)
