"""The list of features. Those that the code no longer asks about are shown as obsolete and cannot be switched."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import display

from apps.console.tenants import links
from apps.core import tenancy
from apps.core.admin import ConsoleAdmin
from apps.core.formatting import ABSENT
from apps.core.templatetags.console import ago
from apps.organizations.flags import services
from apps.organizations.flags.known import KNOWN
from apps.organizations.models import FeatureFlag, FlagChoice, Organization

WORDS = {"on": True, "off": False, "others": None}
STATE_COLORS = {"on": "success", "off": "danger", "part": "warning", "obsolete": "info"}


def _chosen(is_on: bool) -> Coalesce:
    rows = FlagChoice.unscoped.filter(flag=OuterRef("pk"), is_on=is_on).order_by().values("flag")
    return Coalesce(Subquery(rows.annotate(number=Count("pk")).values("number")), 0)


@admin.register(FeatureFlag)
class FeatureFlagAdmin(ConsoleAdmin):
    list_display = ["title", "state", "chosen", "description", "changed"]
    search_fields = ["name", "description"]
    ordering = ["name"]
    actions = ["switch_on", "switch_off", "set_share", "choose"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request).using("console")
        return rows.annotate(on_count=_chosen(True), off_count=_chosen(False))

    @display(description="Feature", ordering="name", header=True)
    def title(self, row: Any) -> tuple[str, str]:
        return (KNOWN[row.name].title if row.name in KNOWN else "Gone from the code"), row.name

    @display(description="For everybody else", ordering="percentage", label=STATE_COLORS)
    def state(self, row: Any) -> tuple[str, str]:
        if row.name not in KNOWN:
            return "obsolete", "Obsolete"
        match row.percentage:
            case 100:
                return "on", "On"
            case 0:
                return "off", "Off"
            case share:
                return "part", f"{share} % of organizations"

    @admin.display(description="Chosen organizations")
    def chosen(self, row: Any) -> str:
        counts = ((row.on_count, "on"), (row.off_count, "off"))
        return ", ".join(f"{number} {word}" for number, word in counts if number) or ABSENT

    @admin.display(description="Changed", ordering="changed_at")
    def changed(self, row: Any) -> str:
        if not row.changed_at:
            return ABSENT
        history = reverse("admin:organizations_featureflag_history", args=[row.pk])
        told = format_html("{} by {}", ago(row.changed_at), row.changed_by_label)
        return format_html('<a href="{}" class="text-link">{}</a>', history, told)

    @admin.action(description="Switch on for everybody")
    def switch_on(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        self.set_each(request, rows, 100)

    @admin.action(description="Switch off for everybody")
    def switch_off(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        self.set_each(request, rows, 0)

    @admin.action(description="Switch on for a share of organizations")
    def set_share(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        given = request.POST.get("percentage", "").strip()
        if not given:
            return self.ask(request, "admin/flag_share.html", "For which share?", chosen=rows)
        self.set_each(request, rows, int(given) if given.isdecimal() and len(given) < 4 else -1)
        return None

    @admin.action(description="Switch for chosen organizations")
    def choose(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        """Asks for the organizations, by their addresses, unless one of their pages has sent it."""
        word, slugs = request.POST.get("word", ""), request.POST.get("organizations", "").replace(",", " ").split()
        if word not in WORDS or not slugs:
            return self.ask(request, "admin/flag_choose.html", "For which organizations?", chosen=rows)
        found = list(Organization.objects.filter(slug__in=slugs))
        for slug in sorted(set(slugs) - {organization.slug for organization in found}):
            self.message_user(request, f"There is no organization “{slug}”.", messages.WARNING)
        for flag in rows:
            for organization in found:
                self.choose_one(request, flag, organization, WORDS[word])
        return redirect(links.page(found[0])) if "from_page" in request.POST and found else None

    def set_each(self, request: HttpRequest, rows: QuerySet[Any], percentage: int) -> None:
        for flag in rows:
            self.attempt(request, flag, partial(services.set_flag, flag, percentage))

    def choose_one(self, request: HttpRequest, flag: Any, organization: Organization, is_on: bool | None) -> None:
        with tenancy.scope(organization.pk):
            self.attempt(request, flag, partial(services.choose_flag, flag.name, organization, is_on))
