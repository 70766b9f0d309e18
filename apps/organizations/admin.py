from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest

from apps.core import tenancy
from apps.core.admin import ConsoleAdmin
from apps.core.errors import DomainError
from apps.organizations import services
from apps.organizations.models import ApiToken, Invitation, Membership, Organization


def _each(console: ConsoleAdmin, request: HttpRequest, rows: QuerySet[Any], service: Callable[..., object]) -> None:
    """Do it to each row in its own tenant, and tell the operator which were refused."""
    for row in rows:
        with tenancy.scope(row.organization_id):
            try:
                service(type(row).objects.get(pk=row.pk), by=console.operator(request))
            except DomainError as error:
                console.message_user(request, f"{row}: {error.message}", messages.WARNING)


@admin.register(Organization)
class OrganizationAdmin(ConsoleAdmin):
    list_display = ["name", "slug", "member_count", "time_zone", "requires_second_factor", "created_at"]
    list_filter = ["requires_second_factor"]
    search_fields = ["name", "slug"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Organization]:
        members = Membership.unscoped.filter(organization=OuterRef("pk")).order_by().values("organization")
        count = Subquery(members.annotate(count=Count("pk")).values("count"))
        return super().get_queryset(request).using("console").annotate(member_count=Coalesce(count, 0))

    @admin.display(description="members", ordering="member_count")
    def member_count(self, organization: Any) -> int:
        return organization.member_count


@admin.register(Membership)
class MembershipAdmin(ConsoleAdmin):
    list_display = ["user", "organization", "role", "created_at"]
    list_filter = ["role"]
    search_fields = ["user__email", "organization__slug"]
    actions = ["remove"]

    @admin.action(description="Remove from the organization")
    def remove(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        _each(self, request, rows, services.remove_member)


@admin.register(Invitation)
class InvitationAdmin(ConsoleAdmin):
    list_display = ["email", "organization", "role", "status", "invited_by", "sent_at", "expires_at"]
    list_filter = ["role"]
    search_fields = ["email", "organization__slug"]
    exclude = ["secret_hash"]
    actions = ["revoke"]

    @admin.action(description="Revoke")
    def revoke(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        _each(self, request, rows, services.revoke_invitation)


@admin.register(ApiToken)
class ApiTokenAdmin(ConsoleAdmin):
    list_display = ["name", "organization", "kind", "status", "expires_at", "last_used_at", "last_used_address"]
    list_filter = ["kind"]
    exclude = ["secret_hash", "previous_hash"]
    search_fields = ["name", "organization__slug"]
    actions = ["revoke"]

    @admin.action(description="Revoke")
    def revoke(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        _each(self, request, rows, services.revoke_token)
