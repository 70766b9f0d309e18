from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date
from typing import Any

from django import forms
from django.utils import timezone

from apps.core.forms import EditForm
from apps.costs.models import PriceOverride
from apps.costs.services import PRICES
from apps.gateway.prices import exact

MICRO = 1_000_000
MOST_TOKENS = 10**12


def today() -> date:
    """Days of prices are UTC's, as those of the list."""
    return timezone.now().astimezone(UTC).date()


def _dollars(micro: int | None) -> str | None:
    return None if micro is None else exact(micro).removeprefix("$").replace(",", "")


def _amount(label: str, help_text: str = "") -> forms.DecimalField:
    return forms.DecimalField(
        label=label, required=False, min_value=0, max_digits=13, decimal_places=6, help_text=help_text
    )


class AmountsForm(forms.Form):
    """Prices in dollars for a million tokens, which the service takes as micro-USD."""

    input_price = _amount("Input")
    cached_price = _amount("Read from the provider's cache")
    cache_write_price = _amount("Written to the provider's cache")
    output_price = _amount("Output", "Reasoning is part of it.")
    effective_from = forms.DateField(
        label="Counts from", initial=today, widget=forms.DateInput(attrs={"type": "date"}), help_text="In UTC."
    )
    effective_until = forms.DateField(
        label="Until",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="The first day on which it counts no more. Empty: no end.",
    )

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or self.cleaned_data
        for name in PRICES:
            if (amount := given.get(name)) is not None:
                given[name] = int(amount * MICRO)
        return given


class PriceForm(AmountsForm):
    provider = forms.CharField(
        max_length=253, help_text="Such as openai, anthropic or mistral; the host of a server that no list knows."
    )
    model = forms.CharField(max_length=200, help_text="The provider's own name for it.")
    field_order = ("provider", "model", *AmountsForm.base_fields)


class PriceEditForm(AmountsForm, EditForm):
    def _values(self) -> dict[str, Any]:
        row = self.row
        assert isinstance(row, PriceOverride)  # noqa: S101
        values = super()._values()
        return {name: _dollars(value) if name in PRICES else value for name, value in values.items()}


class CalculatorForm(forms.Form):
    """What a call of so many tokens costs."""

    model = forms.ChoiceField()
    input_tokens = forms.IntegerField(label="Input", required=False, min_value=0, max_value=MOST_TOKENS)
    cached_tokens = forms.IntegerField(label="Cached", required=False, min_value=0, max_value=MOST_TOKENS)
    cache_write_tokens = forms.IntegerField(label="Cache write", required=False, min_value=0, max_value=MOST_TOKENS)
    output_tokens = forms.IntegerField(label="Output", required=False, min_value=0, max_value=MOST_TOKENS)

    def __init__(self, *args: Any, models: Sequence[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["model"].choices = models  # type: ignore[attr-defined]
