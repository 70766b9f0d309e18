from __future__ import annotations

from datetime import datetime, timedelta
from typing import Self

from apps.core.ids import least_uuid7
from apps.core.tenancy import TenantQuerySet

ID_SLACK = timedelta(days=1)


class UsageEventQuerySet(TenantQuerySet):
    """Also tells PostgreSQL how far ids may be from times, because rows and partitions lie in the order of ids."""

    def since(self, start: datetime) -> Self:
        return self.filter(occurred_at__gte=start, id__gte=least_uuid7(start - ID_SLACK))

    def between(self, start: datetime, end: datetime) -> Self:
        """Events from `start` until before `end`."""
        return self.since(start).filter(occurred_at__lt=end, id__lt=least_uuid7(end + ID_SLACK))
