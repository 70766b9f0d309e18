from __future__ import annotations

from typing import Self

from apps.core.tenancy import TenantQuerySet
from apps.jobs.enums import ACTIVE, FINISHED, Status


class JobQuerySet(TenantQuerySet):
    def active(self) -> Self:
        return self.filter(status__in=ACTIVE)

    def finished(self) -> Self:
        return self.filter(status__in=FINISHED)

    def dead(self) -> Self:
        """The dead set: what nobody has retried or discarded."""
        return self.filter(status=Status.DEAD, discarded_at=None)

    def tagged(self, tag: str) -> Self:
        return self.filter(tags__tag=tag)
