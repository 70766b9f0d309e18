from __future__ import annotations

from datetime import datetime
from typing import Self

from apps.core.tenancy import TenantQuerySet
from apps.logs.enums import StatusClass


class CallRecordQuerySet(TenantQuerySet):
    def between(self, start: datetime, end: datetime) -> Self:
        """Calls that began from `start` until before `end`."""
        return self.filter(occurred_at__gte=start, occurred_at__lt=end)

    def answered(self, status_class: StatusClass) -> Self:
        return self.filter(status__gte=status_class.first, status__lt=status_class.first + 100)
