from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, cast

from django import forms
from django.utils import timezone

from apps.core.forms import EditForm
from apps.gateway.enums import BudgetPeriod
from apps.gateway.forms.upstreams import HeadersField
from apps.gateway.models import Route, VirtualKey

MICRO = 1_000_000
RENEWS = {BudgetPeriod.DAY: "Every day", BudgetPeriod.MONTH: "Every month", BudgetPeriod.TOTAL: "Never"}
DAYS = [(days, f"{days} days") for days in (7, 30, 90, 365)]


class KeyForm(forms.Form):
    """A new virtual key: an API token that may call models, within bounds."""

    name = forms.CharField(max_length=80, help_text="Where it will be used, such as “support bot”.")
    routes = forms.MultipleChoiceField(
        label="Only these routes",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None chosen: all, also those made later.",
    )
    budget = forms.DecimalField(
        label="Budget in dollars",
        required=False,
        min_value=0,
        max_digits=12,
        decimal_places=6,
        help_text="Empty: none.",
    )
    budget_period = forms.ChoiceField(
        label="Renews",
        choices=list(RENEWS.items()),
        initial=BudgetPeriod.MONTH,
    )
    requests_per_minute = forms.IntegerField(label="Calls a minute", required=False, min_value=1)
    tokens_per_minute = forms.IntegerField(label="Tokens a minute", required=False, min_value=1)
    tags = HeadersField()
    days = forms.TypedChoiceField(label="Ends after", choices=DAYS, initial=90, coerce=int)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = Route.objects.order_by("name").values_list("pk", "name")
        cast("forms.MultipleChoiceField", self.fields["routes"]).choices = [(str(pk), name) for pk, name in names]
        self.fields["tags"].help_text = "One a line. They tell apart whose cost it is."

    def clean(self) -> dict[str, Any]:
        """As the service takes it: micro-USD, ids, and the moment it ends."""
        given: dict[str, Any] = super().clean() or self.cleaned_data
        budget: Decimal | None = given.pop("budget", None)
        chosen = given.get("routes") or []
        given["routes"] = [route.pk for route in Route.objects.filter(pk__in=chosen)] if chosen else None
        given["budget_micro_usd"] = None if budget is None else int(budget * MICRO)
        given["expires_at"] = _in_days(given.pop("days", 90))
        return given

    def add_error(self, field: str | None, error: Any) -> None:
        super().add_error("budget" if field == "budget_micro_usd" else field, error)


class KeyEditForm(KeyForm, EditForm):
    """What an existing key may do. Its name and its end are its token's."""

    def __init__(self, *args: Any, row: VirtualKey, **kwargs: Any) -> None:
        budget = None if row.budget_micro_usd is None else Decimal(row.budget_micro_usd) / MICRO
        chosen = [str(route_id) for route_id in row.routes or ()]
        super().__init__(*args, row=row, initial={"routes": chosen, "budget": budget}, **kwargs)
        for name in ("name", "days"):
            del self.fields[name]

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        del given["expires_at"]
        return given


def _in_days(days: int) -> datetime:
    return timezone.now() + timedelta(days=days)
