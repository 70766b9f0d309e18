from __future__ import annotations

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest

from apps.core.admin import ConsoleAdmin
from apps.core.formatting import format_money
from apps.gateway.models import ModelCall, Route, Target, Upstream, UpstreamKey, VirtualKey


@admin.register(Upstream)
class UpstreamAdmin(ConsoleAdmin):
    """Its headers may hold what lets somebody in, so that operators see none."""

    list_display = ["name", "organization", "kind", "base_url", "key_count", "most_at_once", "is_paused", "created_at"]
    list_filter = ["kind", "is_paused"]
    search_fields = ["name", "organization__slug", "base_url"]
    exclude = ["headers"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Upstream]:
        return super().get_queryset(request).annotate(key_count=Count("keys"))

    @admin.display(description="Keys", ordering="key_count")
    def key_count(self, row: Upstream) -> int:
        return row.key_count  # type: ignore[attr-defined]


@admin.register(UpstreamKey)
class UpstreamKeyAdmin(ConsoleAdmin):
    list_display = ["name", "upstream", "organization", "is_paused", "created_at"]
    list_filter = ["is_paused"]
    search_fields = ["name", "upstream__name", "organization__slug"]
    exclude = ["sealed"]


@admin.register(Route)
class RouteAdmin(ConsoleAdmin):
    list_display = ["name", "organization", "strategy", "attempts", "cache_mode", "bodies_days", "is_paused"]
    list_filter = ["strategy", "cache_mode", "is_paused"]
    search_fields = ["name", "organization__slug"]


@admin.register(Target)
class TargetAdmin(ConsoleAdmin):
    list_display = ["route", "organization", "tier", "upstream", "deployment", "model", "weight", "created_at"]
    search_fields = ["route__name", "upstream__name", "model", "organization__slug"]


@admin.register(VirtualKey)
class VirtualKeyAdmin(ConsoleAdmin):
    list_display = ["token", "organization", "budget", "budget_period", "requests_per_minute", "tokens_per_minute"]
    list_filter = ["budget_period"]
    search_fields = ["token__name", "organization__slug"]

    @admin.display(ordering="budget_micro_usd")
    def budget(self, row: VirtualKey) -> str:
        return "none" if row.budget_micro_usd is None else format_money(row.budget_micro_usd)


@admin.register(ModelCall)
class ModelCallAdmin(ConsoleAdmin):
    """What was sent and answered is the tenants' own business and not here."""

    list_display = ["occurred_at", "organization", "status", "route", "upstream", "model", "cost", "took_ms", "problem"]
    list_filter = ["status", "error_class", "face", "is_stream"]
    search_fields = ["organization__slug", "=request_id", "=route", "=upstream"]

    @admin.display(ordering="cost_micro_usd")
    def cost(self, row: ModelCall) -> str:
        return "unpriced" if row.cost_micro_usd is None else format_money(row.cost_micro_usd)

    @admin.display(description="Took, ms", ordering="latency_us")
    def took_ms(self, row: ModelCall) -> int:
        return row.latency_us // 1000

    @admin.display(ordering="error_code")
    def problem(self, row: ModelCall) -> str:
        return row.error_code or row.error_class
