from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import admin
from django.contrib.admin import EmptyFieldListFilter
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.decorators import display

from apps.core.admin import REASON_LENGTH, ConsoleAdmin, reason_given
from apps.core.formatting import format_count
from apps.organizations.models import Organization
from apps.organizations.plans import LIMITS
from apps.ratelimits import queries, services, wording
from apps.ratelimits.guards.known import INSTALLATION
from apps.ratelimits.models import Entry, PlanLimitOverride, Policy
from apps.ratelimits.seen import Limited

MOST_ORGANIZATIONS = 200


def most_limited() -> list[tuple[Organization, str, Limited]] | None:
    """Who is refused most now, in whichever organization, and by the policy of which name; None if nobody can say."""
    found = queries.limited_anywhere(MOST_ORGANIZATIONS)
    if found is None:
        return None
    organizations = _organizations(set(found) - {INSTALLATION})
    limited = [(organizations[pk], one) for pk in organizations for one in found[pk]]
    most = sorted(limited, key=lambda pair: pair[1].refused, reverse=True)[: queries.SHOWN_SUBJECTS]
    names = _policy_names({one.policy for _, one in most})
    return [(organization, names.get(one.policy, "a deleted policy"), one) for organization, one in most]


def _organizations(ids: set[str]) -> dict[str, Organization]:
    return {str(row.pk): row for row in Organization.objects.using("console").filter(pk__in=ids)}


def _policy_names(ids: set[str]) -> dict[str, str]:
    of_plans = {one.id: one.title for one in LIMITS.values()}
    own = Policy.unscoped.using("console").filter(pk__in=ids - of_plans.keys())
    return {str(pk): name for pk, name in own.values_list("pk", "name")} | of_plans


@admin.register(Policy)
class PolicyAdmin(ConsoleAdmin):
    """The policies of all organizations, and above them who is limited most now."""

    list_display = ["name", "organization", "says", "mode", "paused_because", "created_at"]
    list_filter = ["quantity", "is_shadow", ("paused_at", EmptyFieldListFilter), "away", "algorithm"]
    search_fields = ["name", "organization__slug"]
    actions = ["pause", "resume"]
    list_before_template = "admin/limited_now.html"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {**(extra_context or {}), "limited": most_limited()})

    @admin.display(description="Lets pass")
    def says(self, row: Policy) -> str:
        return wording.in_words(row)

    @display(description="Mode", label={"enforced": "success", "shadow": "info", "paused": "warning"})
    def mode(self, row: Policy) -> tuple[str, str]:
        return row.mode.value, row.mode.label

    @admin.action(description="Pause")
    def pause(self, request: HttpRequest, rows: QuerySet[Policy]) -> HttpResponse | None:
        """Asks for the reason, which the organization's people read."""
        because = reason_given(request)
        if not because:
            return self.ask(request, "admin/pause_policy.html", "Pause?", chosen=rows, length=REASON_LENGTH)
        self.each(request, rows, partial(services.pause_policy, because=because))
        return None

    @admin.action(description="Resume")
    def resume(self, request: HttpRequest, rows: QuerySet[Policy]) -> None:
        self.each(request, rows, services.resume_policy)


@admin.register(Entry)
class EntryAdmin(ConsoleAdmin):
    list_display = ["value", "subject", "header", "kind", "organization", "reason", "ends_at", "created_at"]
    list_filter = ["kind", "subject"]
    search_fields = ["value", "organization__slug"]


@admin.register(PlanLimitOverride)
class PlanLimitOverrideAdmin(ConsoleAdmin):
    """Made by an action of the list of organizations."""

    list_display = ["organization", "plan_limit", "number", "ends_at", "reason", "created_at"]
    list_filter = ["plan_limit"]
    search_fields = ["organization__slug", "reason"]
    actions = ["end"]

    @admin.display(description="Limit", ordering="limit")
    def number(self, row: PlanLimitOverride) -> str:
        return format_count(row.limit)

    @admin.action(description="End")
    def end(self, request: HttpRequest, rows: QuerySet[PlanLimitOverride]) -> None:
        self.each(request, rows, services.end_override)
