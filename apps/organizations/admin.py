from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin import EmptyFieldListFilter
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from apps.core import tenancy
from apps.core.admin import REASON_LENGTH, ConsoleAdmin, reason_given
from apps.core.http import link
from apps.organizations import acting, services
from apps.organizations.models import ActingSession, ApiToken, Invitation, Membership, Organization
from apps.organizations.plans import PLANS


class OrganizationAdmin(ConsoleAdmin):
    """What operators do with organizations; the console registers it with its numbers (`console.tenants`)."""

    search_fields = ["name", "slug"]
    actions = ["suspend", "resume", "set_plan"]

    def tenant_of(self, row: Organization) -> UUID:
        return row.pk

    @admin.action(description="Suspend")
    def suspend(self, request: HttpRequest, rows: QuerySet[Organization]) -> HttpResponse | None:
        """Asks for the reason, which the organization's people are told."""
        because = reason_given(request)
        if not because:
            return self.ask(request, "admin/suspend_organization.html", "Suspend?", chosen=rows, length=REASON_LENGTH)
        self.each(request, rows, partial(services.suspend_organization, because=because))
        return None

    @admin.action(description="Resume")
    def resume(self, request: HttpRequest, rows: QuerySet[Organization]) -> None:
        self.each(request, rows, services.resume_organization)

    @admin.action(description="Set the plan")
    def set_plan(self, request: HttpRequest, rows: QuerySet[Organization]) -> HttpResponse | None:
        """Asks for the plan, and says that a trail may be shortened by it."""
        if not (plan := request.POST.get("plan", "")):
            return self.ask(request, "admin/set_plan.html", "Which plan?", chosen=rows, plans=PLANS.values())
        self.each(request, rows, partial(services.set_plan, plan=plan))
        return None


@admin.register(Membership)
class MembershipAdmin(ConsoleAdmin):
    list_display = ["user", "organization", "role", "created_at"]
    list_filter = ["role"]
    search_fields = ["user__email", "organization__slug"]
    actions = ["act_as", "remove"]

    @admin.action(description="Look as this person")
    def act_as(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        """Asks for the reason, which stands in the organization's trail."""
        reason, membership = reason_given(request), rows.first()
        if membership is None or rows.count() != 1:
            self.message_user(request, "Choose one person.", messages.WARNING)
            return None
        if not reason:
            return self.ask(request, "admin/act_as.html", "Look as this person?", chosen=rows, length=REASON_LENGTH)
        with tenancy.scope(membership.organization_id):
            session = services.start_acting(membership, reason, by=self.operator(request))
            request.session[acting.KEY] = acting.remembered(session)
        return redirect(link(membership.organization, "console:home"))

    @admin.action(description="Remove from the organization")
    def remove(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        self.each(request, rows, services.remove_member)


@admin.register(Invitation)
class InvitationAdmin(ConsoleAdmin):
    list_display = ["email", "organization", "role", "status", "invited_by", "sent_at", "expires_at"]
    list_filter = ["role"]
    search_fields = ["email", "organization__slug"]
    exclude = ["secret_hash"]
    actions = ["revoke"]

    @admin.action(description="Revoke")
    def revoke(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        self.each(request, rows, services.revoke_invitation)


@admin.register(ApiToken)
class ApiTokenAdmin(ConsoleAdmin):
    list_display = ["name", "organization", "kind", "status", "expires_at", "last_used_at", "last_used_address"]
    list_filter = ["kind"]
    exclude = ["secret_hash", "previous_hash"]
    search_fields = ["name", "organization__slug"]
    actions = ["revoke"]

    @admin.action(description="Revoke")
    def revoke(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        self.each(request, rows, services.revoke_token)


@admin.register(ActingSession)
class ActingSessionAdmin(ConsoleAdmin):
    """Which operator looked at which organization, as whom, and why."""

    list_display = ["operator_label", "person_label", "organization", "reason", "created_at", "ends_at", "ended_at"]
    list_filter = [("ended_at", EmptyFieldListFilter)]
    search_fields = ["operator_label", "person_label", "organization__slug"]
    actions = ["end"]

    @admin.action(description="End")
    def end(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        self.each(request, rows, services.end_acting)
