from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import EmptyFieldListFilter
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from apps.core import tenancy
from apps.core.admin import ConsoleAdmin
from apps.core.errors import DomainError
from apps.core.http import link
from apps.organizations import acting, services
from apps.organizations.models import ActingSession, ApiToken, Invitation, Membership, Organization

REASON_LENGTH = 200


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
    list_display = ["name", "slug", "member_count", "suspended_at", "requires_second_factor", "created_at"]
    list_filter = [("suspended_at", EmptyFieldListFilter), "requires_second_factor"]
    search_fields = ["name", "slug"]
    actions = ["suspend", "resume"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Organization]:
        members = Membership.unscoped.filter(organization=OuterRef("pk")).order_by().values("organization")
        count = Subquery(members.annotate(count=Count("pk")).values("count"))
        return super().get_queryset(request).using("console").annotate(member_count=Coalesce(count, 0))

    @admin.action(description="Suspend")
    def suspend(self, request: HttpRequest, rows: QuerySet[Organization]) -> HttpResponse | None:
        """Asks for the reason, which the organization's people are told."""
        because = " ".join(request.POST.get("because", "").split())[:REASON_LENGTH]
        if not because:
            context = {
                **self.admin_site.each_context(request),
                "opts": self.model._meta,
                "title": "Suspend?",
                "chosen": rows,
                "reason_length": REASON_LENGTH,
            }
            return render(request, "admin/suspend_organization.html", context)
        self._each_organization(request, rows, partial(services.suspend_organization, because=because))
        return None

    @admin.action(description="Resume")
    def resume(self, request: HttpRequest, rows: QuerySet[Organization]) -> None:
        self._each_organization(request, rows, services.resume_organization)

    def _each_organization(
        self, request: HttpRequest, rows: QuerySet[Organization], service: Callable[..., object]
    ) -> None:
        for organization in rows:
            with tenancy.scope(organization.pk):
                service(organization, by=self.operator(request))

    @admin.display(description="members", ordering="member_count")
    def member_count(self, organization: Any) -> int:
        return organization.member_count


@admin.register(Membership)
class MembershipAdmin(ConsoleAdmin):
    list_display = ["user", "organization", "role", "created_at"]
    list_filter = ["role"]
    search_fields = ["user__email", "organization__slug"]
    actions = ["act_as", "remove"]

    @admin.action(description="Look as this person")
    def act_as(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        """Asks for the reason, which stands in the organization's trail."""
        reason = " ".join(request.POST.get("reason", "").split())[:REASON_LENGTH]
        membership = rows.first()
        if membership is None or rows.count() != 1:
            self.message_user(request, "Choose one person.", messages.WARNING)
            return None
        if not reason:
            context = {
                **self.admin_site.each_context(request),
                "opts": self.model._meta,
                "title": "Look as this person?",
                "membership": membership,
                "reason_length": REASON_LENGTH,
            }
            return render(request, "admin/act_as.html", context)
        with tenancy.scope(membership.organization_id):
            session = services.start_acting(membership, reason, by=self.operator(request))
            request.session[acting.KEY] = acting.remembered(session)
        return redirect(link(membership.organization, "console:home"))

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


@admin.register(ActingSession)
class ActingSessionAdmin(ConsoleAdmin):
    """Which operator looked at which organization, as whom, and why."""

    list_display = ["operator_label", "person_label", "organization", "reason", "created_at", "ends_at", "ended_at"]
    search_fields = ["operator_label", "person_label", "organization__slug"]
