"""Reserving and writing to the ledger from the control plane. The data plane's events come through `events:usage`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

import redis
from django.db import transaction
from django.utils import timezone

from apps.core import live
from apps.usage import counting, entitlements, meters
from apps.usage.entitlements import Amount
from apps.usage.meters import Meter
from apps.usage.models import UsageEvent
from apps.usage.quotas import Counter, refusal

# A transaction that reserved and failed keeps it for so long.
TTL_MS = 60_000


def reserve(meter: Meter, quantity: int, *, event_id: UUID) -> list[Counter]:
    """Keep room for a use that `record` will tell under the same id. Raises `QuotaExceeded` and `StockExceeded`.

    Only amounts that refuse are reserved; where, is what `release` takes. While Redis is away the ledger decides.
    """
    return [_reserve(amount, quantity, event_id) for amount in entitlements.enforced(meter)]


def require_left(meter: Meter) -> None:
    """Refuse to begin what nobody knows the quantity of, once the amount is used up. Raises as `reserve`."""
    now = timezone.now()
    for amount in entitlements.enforced(meter):
        _require(amount, counting.used(meter, now), 1, now)


def release(reserved: Sequence[Counter], *, event_id: UUID) -> None:
    """Give back what was reserved for a use that never was. Asks no database, which may be why."""
    if reserved:
        with suppress(redis.RedisError):
            counting.quotas().release(reserved, event_id)


def _reserve(amount: Amount, quantity: int, event_id: UUID) -> Counter:
    now = timezone.now()
    counter = entitlements.counter(amount, now)
    try:
        answer = counting.quotas().reserve({counter: quantity}, event_id, TTL_MS)
        if answer.unknown:
            counting.rebuild(counter)
            answer = counting.quotas().reserve({counter: quantity}, event_id, TTL_MS)
    except (redis.RedisError, counting.Unsettled):
        _require(amount, counting.used(amount.meter, now), quantity, now)
        return counter
    if answer.refused:
        raise refusal(amount.meter, answer.totals[counter], amount.included or 0, now)
    return counter


def _require(amount: Amount, used: int, quantity: int, now: datetime) -> None:
    included = amount.included or 0
    if used + quantity > included:
        raise refusal(amount.meter, used, included, now)


def _counters(meter: Meter, at: datetime) -> list[Counter]:
    return [entitlements.counter(amount, at) for amount in entitlements.enforced(meter)]


def record(
    meter: str,
    quantity: int,
    *,
    event_id: UUID,
    dimensions: dict[str, Any] | None = None,
    cost_micro_usd: int | None = None,
    occurred_at: datetime | None = None,
) -> None:
    """Count a use in the transaction of what used it. The same `event_id` again changes nothing."""
    event = UsageEvent(
        id=event_id,
        meter=meter,
        quantity=quantity,
        cost_micro_usd=cost_micro_usd,
        occurred_at=occurred_at or timezone.now(),
        dimensions=dimensions or {},
    )
    UsageEvent.objects.bulk_create([event], ignore_conflicts=True)
    for counter in _counters(meters.named(meter), event.occurred_at):
        _settle_on_commit(counter, quantity, event_id)
    live.publish("usage")


def _settle_on_commit(counter: Counter, quantity: int, event_id: UUID) -> None:
    def settle() -> None:
        # What Redis does not hear is found in the ledger by who corrects the counters.
        with suppress(redis.RedisError):
            counting.quotas().settle({counter: quantity}, event_id)

    with suppress(redis.RedisError):
        # Whoever rebuilds the counter between the commit and the settlement sees that this is about to be settled.
        counting.quotas().reserve({counter: 0}, event_id, TTL_MS)
    transaction.on_commit(settle)
