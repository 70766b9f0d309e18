"""The list of guards: what limits strangers, who was refused of late, and how an operator changes it at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any

import redis
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from unfold.decorators import display

from apps.core.admin import ConsoleAdmin
from apps.core.formatting import ABSENT, format_count
from apps.core.templatetags.console import ago
from apps.ratelimits import asking, seen, wording
from apps.ratelimits.enums import GuardAway
from apps.ratelimits.guards import services
from apps.ratelimits.guards.known import INSTALLATION, KNOWN, Of
from apps.ratelimits.models import LARGEST, LONGEST_WINDOW_S, Guard

STATE_COLORS = {"enforced": "success", "shadow": "warning", "obsolete": "info"}


@admin.register(Guard)
class GuardAdmin(ConsoleAdmin):
    list_display = ["title", "counts", "state", "away_in_words", "refused", "changed"]
    search_fields = ["id"]
    ordering = ["id"]
    actions = ["change", "enforce", "shadow"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).using("console")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        self._lately = _lately()
        return super().changelist_view(request, extra_context)

    @display(description="Guard", ordering="id", header=True)
    def title(self, row: Any) -> tuple[str, str]:
        return (KNOWN[row.id].title if row.id in KNOWN else "Gone from the code"), row.id

    @admin.display(description="Lets through")
    def counts(self, row: Any) -> str:
        whom = "account" if row.id in KNOWN and KNOWN[row.id].of is Of.ACCOUNT else "address"
        return f"{wording.amount_of('requests', row.limit, row.window_s)} for each {whom}"

    @display(description="State", label=STATE_COLORS)
    def state(self, row: Any) -> tuple[str, str]:
        if row.id not in KNOWN:
            return "obsolete", "Obsolete"
        return row.mode.value, row.mode.label

    @admin.display(description="While Redis is away", ordering="away")
    def away_in_words(self, row: Any) -> str:
        return row.get_away_display()

    @admin.display(description="Refused in the last hour")
    def refused(self, row: Any) -> str:
        counts = self._lately.get(row.id)
        return format_count(counts.would_refuse if row.is_shadow else counts.refused) if counts else ABSENT

    @admin.display(description="Changed", ordering="changed_at")
    def changed(self, row: Any) -> str:
        if not row.changed_at:
            return ABSENT
        history = reverse("admin:ratelimits_guard_history", args=[row.pk])
        told = format_html("{} by {}", ago(row.changed_at), row.changed_by_label)
        return format_html('<a href="{}" class="text-link">{}</a>', history, told)

    @admin.action(description="Change what they let through")
    def change(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        limit, window_s, away = (request.POST.get(name, "").strip() for name in ("limit", "window_s", "away"))
        if not limit:
            told = [(self.title(row)[0], self.counts(row)) for row in rows]
            context = {"chosen": rows, "told": told, "first": rows.first(), "away": GuardAway.choices}
            bounds = {"largest": LARGEST, "longest": LONGEST_WINDOW_S}
            return self.ask(request, "admin/guard_change.html", "How much may pass?", **context, **bounds)
        if away not in GuardAway.values:
            self.message_user(request, "Choose what they do while Redis is away.", messages.WARNING)
            return None
        self._change(request, rows, limit=_number(limit), window_s=_number(window_s), away=away)
        return None

    @admin.action(description="Enforce")
    def enforce(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        self._change(request, rows, is_shadow=False)

    @admin.action(description="Put in shadow: count, and refuse nothing")
    def shadow(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        self._change(request, rows, is_shadow=True)

    def _change(self, request: HttpRequest, rows: QuerySet[Any], **wanted: Any) -> None:
        for row in rows:
            columns = {name: getattr(row, name) for name in services.COLUMNS}
            self.attempt(request, row, partial(services.change_guard, row, **{**columns, **wanted}))


def _number(text: str) -> int:
    """0, which is refused, for what is none."""
    return int(text) if text.isdecimal() and len(text) <= len(str(LARGEST)) else 0


def _lately() -> Mapping[str, seen.Counts]:
    """What each guard did in the last hour; nothing while that cannot be read."""
    try:
        return seen.summed(asking.reader(), INSTALLATION, timezone.now() - timedelta(hours=1))
    except redis.RedisError:
        return {}
