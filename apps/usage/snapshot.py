"""The usage section of the data plane's snapshot."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from apps.usage import counting, entitlements
from apps.usage.meters import PREDICTIONS
from apps.usage.quotas import period_of


def compile_section() -> dict[str, dict[str, Any]]:
    """By meter of the data plane that refuses: its limit, and what was used when this was compiled."""
    now = timezone.now()
    return {
        amount.meter.name: {
            "limit": amount.included,
            "period": period_of(amount.meter, now),
            "used": counting.used(amount.meter, now),
        }
        for amount in entitlements.enforced(PREDICTIONS)
    }
