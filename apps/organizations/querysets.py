from __future__ import annotations

from typing import Self

from django.db.models import Q
from django.db.models.functions import Now

from apps.core.tenancy import TenantQuerySet


class ApiTokenQuerySet(TenantQuerySet):
    def usable(self) -> Self:
        """Neither revoked nor expired by the database's clock, and made by somebody who is still an active member."""
        not_expired = Q(expires_at__isnull=True) | Q(expires_at__gt=Now())
        return self.filter(not_expired, revoked_at__isnull=True, membership__user__is_active=True)
