"""Writing to the ledger from the control plane. The data plane's events come through `events:usage` and the sink."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils import timezone

from apps.core import live
from apps.usage.models import UsageEvent


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
    live.publish("usage")
