"""Organizations in the console: the actions are those of their own app, the numbers come from the apps above it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from apps.console.tenants import figures, links, overview
from apps.console.tenants.filters import QuestionFilter
from apps.core.actors import Actor
from apps.core.formatting import (
    ABSENT,
    format_bytes,
    format_count,
    format_duration,
    format_money,
)
from apps.core.templatetags.console import ago
from apps.organizations.admin import OrganizationAdmin
from apps.organizations.flags.lookup import decisions
from apps.organizations.models import Organization
from apps.ratelimits import services as limits
from apps.ratelimits.forms import OverrideForm
from apps.usage import meters

STATE_COLORS = {"active": "success", "suspended": "danger", "closed": "warning"}


def _link(text: str, url: str) -> SafeString:
    return format_html('<a href="{}" class="text-link">{}</a>', url, text)


def linked(number: int, url: str) -> SafeString | str:
    return _link(format_count(number), url) if number else ABSENT


@admin.register(Organization)
class TenantAdmin(OrganizationAdmin):
    """Health and spend of every tenant; each number leads to the rows behind it."""

    list_display = [
        *("name", "state", "members", "last_active", "failed_calls", "failed_jobs", "failed_webhooks"),
        *("endpoints", "calls", "spend", "compute"),
    ]
    list_filter = [QuestionFilter, "plan", "requires_second_factor"]
    list_before_template = "admin/tenants/legend.html"
    actions = [*OrganizationAdmin.actions, "override_limit"]
    change_form_outer_before_template = "admin/tenants/organization.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return figures.with_figures(super().get_queryset(request).using("console"))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        organization = self.get_object(request, object_id)
        shown = self.page_of(organization) if organization else {}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **shown})

    def page_of(self, organization: Any) -> dict[str, Any]:
        """What the organization's page tells beside its columns."""
        now = timezone.now()
        shown = {"tenant": overview.tenant(organization, now), "tiles": self.tiles(organization)}
        return {**shown, "decisions": decisions(organization.pk), "members_url": links.members(organization)}

    def tiles(self, organization: Any) -> list[tuple[str, str | SafeString]]:
        """The list's numbers, in words."""
        return [
            ("State", self.state(organization)[1]),
            ("Plan", organization.get_plan_display()),
            ("Last active", self.last_active(organization)),
            ("Endpoints", self.endpoints(organization)),
            ("Failed calls, 24 h", self.failed_calls(organization)),
            ("Failed jobs, 24 h", self.failed_jobs(organization)),
            ("Failed webhooks, 24 h", self.failed_webhooks(organization)),
            ("Spend, 30 days", self.spend(organization)),
            ("Compute, 30 days", self.compute(organization)),
            ("Stored, 30 days", self.stored(organization)),
        ]

    @admin.action(description="Override a limit of the plan")
    def override_limit(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        """Asks which, how much, until when, and why, which the organization's people read."""
        form = OverrideForm(request.POST if "plan_limit" in request.POST else None)
        if not form.is_valid():
            return self.ask(request, "admin/override_limit.html", "Override a limit?", chosen=rows, form=form)

        def override(organization: Organization, by: Actor) -> None:
            limits.override_plan_limit(**form.cleaned_data, by=by)

        self.each(request, rows, override)
        return None

    @display(description="State", ordering="suspended_at", label=STATE_COLORS)
    def state(self, row: Any) -> tuple[str, str]:
        if row.is_closed:
            return "closed", "Closed"
        return ("suspended", "Suspended") if row.is_suspended else ("active", "Active")

    @admin.display(description="Members", ordering="member_count")
    def members(self, row: Any) -> SafeString | str:
        return linked(row.member_count, links.members(row))

    @admin.display(description="Last active", ordering="last_active_at")
    def last_active(self, row: Any) -> SafeString | str:
        return ago(row.last_active_at)

    @admin.display(description="Calls", ordering=figures.by_usage("calls"))
    def calls(self, row: Any) -> SafeString | str:
        return _used(row, "calls", format_count, meter__exact=meters.PREDICTIONS.name)

    @admin.display(description="Spend", ordering=figures.by_usage("cost_micro_usd"))
    def spend(self, row: Any) -> SafeString | str:
        return _used(row, "cost_micro_usd", format_money, cost_micro_usd__isnull=False)

    @admin.display(description="Compute", ordering=figures.by_usage("training_ms"))
    def compute(self, row: Any) -> SafeString | str:
        return _used(row, "training_ms", format_duration, meter__exact=meters.TRAINING_MS.name)

    @admin.display(description="Stored")
    def stored(self, row: Any) -> SafeString | str:
        return _used(row, "stored_bytes", format_bytes, meter__exact=meters.STORED_BYTES.name)

    @admin.display(description="Failed calls", ordering="failed_call_count")
    def failed_calls(self, row: Any) -> SafeString | str:
        return linked(row.failed_call_count, links.failed_calls(timezone.now() - figures.DAY, row))

    @admin.display(description="Failed jobs", ordering="failed_job_count")
    def failed_jobs(self, row: Any) -> SafeString | str:
        return linked(row.failed_job_count, links.failed_jobs(timezone.now() - figures.DAY, row))

    @admin.display(description="Failed webhooks", ordering="failed_delivery_count")
    def failed_webhooks(self, row: Any) -> SafeString | str:
        return linked(row.failed_delivery_count, links.failed_deliveries(timezone.now() - figures.DAY, row))

    @admin.display(description="Endpoints", ordering="failing_count")
    def endpoints(self, row: Any) -> SafeString | str:
        if not row.ready_count and not row.failing_count:
            return ABSENT
        text = f"{row.ready_count} ready" + (f", {row.failing_count} failing" if row.failing_count else "")
        return _link(text, links.endpoints(row))


def _used(row: Any, name: str, text: Callable[[int], str], **events: Any) -> SafeString | str:
    """One of the sums of 30 days, with a link to the events that it is made of."""
    used = (row.usage or {}).get(name)
    return _link(text(used), links.events(row, timezone.now(), **events)) if used else ABSENT
