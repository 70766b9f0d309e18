from __future__ import annotations

from typing import Self
from uuid import UUID

from django.db.models import Q
from django.db.models.functions import Now

from apps.core.tenancy import TenantQuerySet
from apps.organizations.enums import InvitationStatus, TokenKind


class ApiTokenQuerySet(TenantQuerySet):
    def usable(self) -> Self:
        """Neither revoked nor expired by the database's clock; a personal one while its person is an active member."""
        not_expired = Q(expires_at__isnull=True) | Q(expires_at__gt=Now())
        has_its_person = ~Q(kind=TokenKind.PERSONAL) | Q(membership__user__is_active=True)
        return self.filter(not_expired, has_its_person, revoked_at__isnull=True)

    def of_person(self, user_id: UUID | None) -> Self:
        """Those that act for this person."""
        return self.filter(kind=TokenKind.PERSONAL, membership__user_id=user_id)

    def with_overlap(self) -> Self:
        """Each with `is_overlapping`: whether its previous secret still works, by the database's clock."""
        return self.annotate(is_overlapping=Q(previous_expires_at__gt=Now()))


class InvitationQuerySet(TenantQuerySet):
    def pending(self) -> Self:
        """Neither accepted nor revoked; it may have expired."""
        return self.filter(accepted_at__isnull=True, revoked_at__isnull=True)

    def in_status(self, status: str) -> Self:
        """Rows of which `Invitation.status` is `status`."""
        match InvitationStatus(status):
            case InvitationStatus.OPEN:
                return self.pending().filter(expires_at__gt=Now())
            case InvitationStatus.EXPIRED:
                return self.pending().filter(expires_at__lte=Now())
            case InvitationStatus.ACCEPTED:
                return self.filter(accepted_at__isnull=False)
            case InvitationStatus.REVOKED:
                return self.filter(revoked_at__isnull=False)
