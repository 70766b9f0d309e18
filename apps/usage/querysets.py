from __future__ import annotations

from datetime import datetime
from typing import Self

from apps.core.tenancy import TenantQuerySet


class UsageEventQuerySet(TenantQuerySet):
    def between(self, start: datetime, end: datetime) -> Self:
        """Events from `start` until before `end`."""
        return self.filter(occurred_at__gte=start, occurred_at__lt=end)
