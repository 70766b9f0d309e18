from __future__ import annotations

from typing import Self

from apps.core.tenancy import TenantQuerySet
from apps.jobs.enums import ACTIVE, FINISHED


class JobQuerySet(TenantQuerySet):
    def active(self) -> Self:
        return self.filter(status__in=ACTIVE)

    def finished(self) -> Self:
        return self.filter(status__in=FINISHED)
