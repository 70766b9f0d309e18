from __future__ import annotations

from typing import Any, Self

from apps.core.tenancy import TenantQuerySet


class NotificationQuerySet(TenantQuerySet):
    def of(self, user_id: Any) -> Self:
        """The inbox of one person; nobody's, if there is no person."""
        return self.filter(user_id=user_id) if user_id else self.none()

    def unread(self) -> Self:
        return self.filter(read_at__isnull=True)
