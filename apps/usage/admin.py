from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime, time
from functools import partial
from typing import Any

from django.contrib import admin
from django.db.models import BigIntegerField, Case, Exists, OuterRef, Q, QuerySet, Subquery, Sum, When
from django.db.models.functions import Coalesce, Now
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.decorators import display

from apps.core import tenancy
from apps.core.admin import REASON_LENGTH, ConsoleAdmin, reason_given
from apps.core.formatting import ABSENT, format_part
from apps.usage import entitlements, meters
from apps.usage.meters import Meter
from apps.usage.models import Entitlement, OrganizationUsage, Override, UsageDay, UsageEvent
from apps.usage.quotas import month_of


@admin.register(UsageEvent)
class UsageEventAdmin(ConsoleAdmin):
    list_display = ["occurred_at", "organization", "meter", "quantity", "cost_micro_usd", "model", "created_at"]
    list_filter = ["meter"]
    search_fields = ["organization__slug", "=model"]


LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
WRONG = -1  # what no service takes as an amount
WORDS = {True: ("hard", "Refused"), False: ("soft", "Told")}


@admin.register(Entitlement)
class EntitlementAdmin(ConsoleAdmin):
    """What each plan includes. Every change stands in the row's history."""

    list_display = ["plan", "meter", "amount", "beyond", "changed_at", "changed_by_label"]
    list_filter = ["plan", "meter"]
    ordering = ["plan", "meter"]
    actions = ["set_amount"]

    @admin.display(description="Included", ordering="included")
    def amount(self, row: Any) -> str:
        return entitlements.amount_text(row.meter, row.included)

    @display(description="Beyond it", ordering="is_hard", label={"hard": "danger", "soft": "info"})
    def beyond(self, row: Any) -> tuple[str, str]:
        return WORDS[row.is_hard]

    @admin.action(description="Set the amount")
    def set_amount(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        """Asks for the amount, and whether more is refused."""
        if "included" not in request.POST:
            units = sorted({meters.named(row.meter).unit for row in rows})
            return self.ask(request, "admin/set_amount.html", "How much?", chosen=rows, units=units)
        included, is_hard = amount_given(request), "is_hard" in request.POST
        for row in rows:
            self.attempt(request, row, partial(entitlements.set_entitlement, row, included, is_hard))
        return None


def amount_given(request: HttpRequest) -> int | None:
    """The amount of a form, None if it is empty. Services refuse what is no amount."""
    given = request.POST.get("included", "").replace(",", "").strip()
    if not given:
        return None
    return int(given) if given.isdecimal() and len(given) < 19 else WRONG


@admin.register(Override)
class OverrideAdmin(ConsoleAdmin):
    """Amounts that operators gave to organizations for a while, and why."""

    list_display = ["organization", "meter", "amount", "state", "ends_at", "reason", "operator_label", "created_at"]
    list_filter = ["meter"]
    search_fields = ["organization__slug", "reason"]
    actions = ["end_now"]

    @admin.display(description="Included", ordering="included")
    def amount(self, row: Any) -> str:
        return entitlements.amount_text(row.meter, row.included)

    @display(description="State", ordering="ends_at", label={"counts": "success", "ended": "info"})
    def state(self, row: Any) -> tuple[str, str]:
        return ("counts", "Counts") if row.ends_at > timezone.now() else ("ended", "Ended")

    @admin.action(description="End now")
    def end_now(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        self.each(request, rows, entitlements.end_override)


def _column(meter: Meter) -> Any:
    """What an organization used of a meter, of all that was used, and of what it includes."""

    @admin.display(description=meter.label, ordering=f"{meter}_used")
    def column(row: Any) -> str:
        used, of_all, included = (getattr(row, f"{meter}_{name}") for name in ("used", "of_all", "included"))
        if not used:
            return ABSENT
        share = f"{format_part(used / of_all)} of everybody's" if of_all > 0 else ""
        within = f"{format_part(used / included)} of the {meter.text(included)} included" if included else ""
        return " · ".join(filter(None, (meter.text(used), share, within)))

    column.__name__ = str(meter)
    return column


@admin.register(OrganizationUsage)
class OrganizationUsageAdmin(ConsoleAdmin):
    """The largest users of each meter this month, against what they may use."""

    list_display = ["name", "plan", *(_column(meter) for meter in meters.METERS.values())]
    list_filter = ["plan"]
    search_fields = ["name", "slug"]
    actions = ["grant_override"]

    def get_ordering(self, request: HttpRequest) -> list[str]:
        return [f"-{meters.PREDICTIONS}_used", "name"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = self.model.objects.using("console")
        return with_use(rows, month_of(timezone.now()).date()).order_by(*self.get_ordering(request))

    def tenant_of(self, row: Any) -> Any:
        return row.pk

    @admin.action(description="Give another amount for a while")
    def grant_override(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        """Asks for the meter, the amount, the end and the reason, which stands in the organization's trail."""
        meter, reason = request.POST.get("meter", ""), reason_given(request)
        if meter not in meters.METERS or not reason:
            context = {"chosen": rows, "meters": meters.METERS.values(), "length": REASON_LENGTH}
            return self.ask(request, "admin/grant_override.html", "Which amount?", **context)
        for row in rows:
            with tenancy.scope(row.pk):
                told = (meter, amount_given(request), _end_given(request), reason)
                self.attempt(request, row, partial(entitlements.grant_override, *told))
        return None


def _end_given(request: HttpRequest) -> datetime:
    """The end of the day that was chosen, in UTC; one that is none is over, which services refuse."""
    with suppress(ValueError):
        return datetime.combine(date.fromisoformat(request.POST.get("ends_on", "")), time.max, UTC)
    return LONG_AGO


def with_use(organizations: QuerySet[Any], month: date) -> QuerySet[Any]:
    """Each organization with `<meter>_used` since `month`, `<meter>_of_all` that everybody used, `<meter>_included`."""
    for meter in meters.METERS.values():
        organizations = organizations.annotate(
            **{
                f"{meter}_used": Coalesce(Subquery(_used(meter, month, organization=OuterRef("pk"))), 0),
                f"{meter}_of_all": Coalesce(Subquery(_used(meter, month)), 0),
                f"{meter}_included": _included(meter),
            }
        )
    return organizations


def _used(meter: Meter, month: date, **whose: Any) -> QuerySet[Any]:
    days = Q() if meter.is_stock else Q(day__gte=month)
    rows = UsageDay.unscoped.filter(days, meter=meter.name, **whose).order_by()
    return rows.values("meter").annotate(used=Sum("quantity", output_field=BigIntegerField())).values("used")


def _included(meter: Meter) -> Case:
    given = Override.unscoped.filter(organization=OuterRef("pk"), meter=meter.name, ends_at__gt=Now())
    planned = Entitlement.objects.filter(plan=OuterRef("plan"), meter=meter.name)
    overridden = Subquery(given.order_by("-id").values("included")[:1])
    return Case(
        When(Exists(given), then=overridden),
        default=Subquery(planned.values("included")[:1]),
        output_field=BigIntegerField(null=True),
    )
