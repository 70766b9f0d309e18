from __future__ import annotations

from datetime import timedelta
from typing import Self

from django.db.models import DateTimeField, ExpressionWrapper, F, Q
from django.db.models.functions import Now

from apps.core.tenancy import TenantQuerySet
from apps.jobs.enums import ACTIVE, FINISHED, Status

# By then the handler was asked to stop, and its process was ended.
OVERDUE_AFTER = timedelta(minutes=1)
DEAD_SET = Q(status=Status.DEAD, discarded_at=None)
_ends_at = ExpressionWrapper(F("started_at") + F("time_limit_s") * timedelta(seconds=1), DateTimeField())


def stuck() -> Q:
    """What runs without a lease, or long after its time limit: the sweeper or its worker does not do its part."""
    is_overdue = Q(heartbeat_at__gt=_ends_at + OVERDUE_AFTER)
    return Q(status=Status.RUNNING) & (Q(lease_until__lt=Now()) | is_overdue)


class JobQuerySet(TenantQuerySet):
    def active(self) -> Self:
        return self.filter(status__in=ACTIVE)

    def finished(self) -> Self:
        return self.filter(status__in=FINISHED)

    def dead(self) -> Self:
        """The dead set: what nobody has retried or discarded."""
        return self.filter(DEAD_SET)

    def tagged(self, tag: str) -> Self:
        return self.filter(tags__tag=tag)
