from __future__ import annotations

from typing import Self

from django.db.models import Q
from django.utils import timezone

from apps.core.tenancy import TenantQuerySet


class PolicyQuerySet(TenantQuerySet):
    def counting(self) -> Self:
        """Those that no operator has paused."""
        return self.filter(paused_at__isnull=True)


class EntryQuerySet(TenantQuerySet):
    def lasting(self) -> Self:
        return self.filter(Q(ends_at__isnull=True) | Q(ends_at__gt=timezone.now()))

    def ended(self) -> Self:
        return self.filter(ends_at__lte=timezone.now())


class OverrideQuerySet(TenantQuerySet):
    def lasting(self) -> Self:
        return self.filter(ends_at__gt=timezone.now())
