"""How many processes of a plane are alive: the share of a limit that each may let pass while Redis is away.

Imports no Django.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

import redis
import structlog

from apps.ratelimits.local import Local

FORGOTTEN_AFTER_MS = 10_000
# As many are taken to be alive by a process that never heard how many there are.
EXPECTED = max(1, int(os.environ.get("LIMITER_PROCESSES", "2")))

_TELL = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('ZCARD', KEYS[1])
"""


log = structlog.get_logger(__name__)


class Peers:
    """One process among those of its plane, whose local limiter is to know how many there are.

    What was heard last is kept in `folder`, for a process that starts while Redis is away.
    """

    def __init__(self, plane: str, local: Local, folder: Path) -> None:
        self._local = local
        self._path = folder / plane
        self._local.processes = self._remembered()
        self._key = f"limits:{{installation}}:processes:{plane}"
        self._id = secrets.token_hex(8)

    def tell(self, client: redis.Redis) -> None:
        """Tell that this process is alive, and hear how many are."""
        alive: Any = client.eval(_TELL, 1, self._key, self._id, FORGOTTEN_AFTER_MS)
        if int(alive) != self._local.processes:
            self._local.processes = int(alive)
            self._remember()

    def _remembered(self) -> int:
        with suppress(OSError, ValueError):
            return max(1, int(self._path.read_text()))
        return EXPECTED

    def _remember(self) -> None:
        draft = self._path.with_suffix(f".{os.getpid()}.draft")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            draft.write_text(str(self._local.processes))
            draft.replace(self._path)
        except OSError as error:
            log.warning("peers_not_stored", error=str(error))
