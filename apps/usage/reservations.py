"""Amounts that calls of the data plane hold while they are under way. Imports no Django."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from uuid import UUID

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from apps.usage.quotas import Amounts, AsyncQuotas, Counter

RESERVED_MS = 60_000  # most calls are answered before; what one takes is counted however long it lasts
BATCH = 500
UNSENT_LIMIT = 50_000

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Held:
    """`used` is what is used and held, with this call's if it is allowed; `is_known` says that Redis counts."""

    is_allowed: bool
    used: int
    is_known: bool = True


class Reservations:
    """Holds amounts in Redis and settles them afterwards, without making callers wait for that.

    While Redis is away or does not know the counter, this process counts by itself from the last amount that it knows.
    """

    def __init__(self, redis: Redis) -> None:
        self._quotas = AsyncQuotas(redis)
        self._unsent: deque[tuple[Amounts, UUID]] = deque(maxlen=UNSENT_LIMIT)
        self._sending: asyncio.Task[None] | None = None
        self._known: dict[Counter, int] = {}
        self._alone: dict[Counter, int] = {}

    async def hold(self, counter: Counter, amount: int, use_id: UUID, published: int) -> Held:
        """Hold the amount if there is room for it. `published` is what was used when the snapshot was compiled."""
        try:
            answer = await self._quotas.reserve({counter: amount}, use_id, RESERVED_MS)
        except (RedisError, OSError):
            return self._hold_alone(counter, amount, published)
        if answer.unknown:
            return self._hold_alone(counter, amount, published)
        self._alone.pop(counter, None)
        used = self._known[counter] = answer.totals[counter]
        return Held(not answer.refused, used)

    def _hold_alone(self, counter: Counter, amount: int, published: int) -> Held:
        used = max(published, self._known.get(counter, 0)) + self._alone.get(counter, 0)
        if used + amount > (counter.limit or 0):
            return Held(is_allowed=False, used=used, is_known=False)
        self._alone[counter] = self._alone.get(counter, 0) + amount
        return Held(is_allowed=True, used=used + amount, is_known=False)

    def settle(self, amounts: Amounts, use_id: UUID) -> None:
        """Have it told to Redis, while the caller has its answer already."""
        self._unsent.append((amounts, use_id))
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send(), name="usage.settle")

    async def _send(self) -> None:
        while self._unsent:
            batch = [self._unsent.popleft() for _ in range(min(BATCH, len(self._unsent)))]
            try:
                await self._quotas.settle_all(batch)
            except (RedisError, OSError) as error:
                # The next call tries again. Whatever is lost here is in the ledger, by which counters are corrected.
                self._unsent.extendleft(reversed(batch))
                log.warning("not_settled", waiting=len(self._unsent), error=str(error))
                return

    async def close(self) -> None:
        """Settle what waits."""
        if self._sending:
            await self._sending
