from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils import timezone

from apps.audit import active, search
from apps.audit.queries import Choices, Retention
from apps.core.formatting import format_count, format_typed


def _moment(label: str) -> forms.DateTimeField:
    return forms.DateTimeField(
        required=False, label=label, widget=forms.DateTimeInput(attrs={"type": "datetime-local", "step": 1})
    )


class RetentionForm(forms.Form):
    """How long the trail is kept; `confirmed` is the number of days that the person has been warned of."""

    days = forms.IntegerField(label="Keep entries for", min_value=1, max_value=99_999)
    confirmed = forms.IntegerField(required=False)

    def __init__(self, data: Mapping[str, Any] | None, *, retention: Retention) -> None:
        super().__init__(data, initial={"days": retention.days})
        self.retention = retention
        bounds = f"{format_count(retention.shortest)} to {format_count(retention.longest)}"
        self.fields["days"].help_text = f"Days, {bounds}. What is older goes during the next night."

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or self.cleaned_data
        return {"days": given.get("days"), "confirmed": given.get("confirmed") == given.get("days")}

    @property
    def asked(self) -> int | None:
        """The shorter time that was refused until somebody confirms it."""
        typed = self["days"].value()
        kept = self.retention
        is_shorter = self.errors and str(typed).isdecimal() and kept.shortest <= int(typed) < kept.days
        return int(typed) if is_shorter else None


class TrailForm(forms.Form):
    """The filters of the trail's page. It draws them and says what is wrong: `filters.TrailFilter` decides."""

    q = forms.CharField(required=False, min_length=search.SHORTEST, max_length=100, label="Part of a name")
    actor_id = forms.ChoiceField(required=False, label="Person or token")
    action = forms.ChoiceField(required=False, label="Action")
    subject_type = forms.ChoiceField(required=False, label="Kind of subject")
    after = _moment("From")
    before = _moment("Until")
    address = forms.CharField(required=False, max_length=45, label="Address")
    request_id = forms.CharField(required=False, max_length=64, label="Request id")

    def __init__(self, given: Mapping[str, str], choices: Choices) -> None:
        super().__init__({name: _typed(name, given.get(name, "")) for name in self.base_fields})
        self.use_required_attribute = False
        # What has no field of its own stays on when the form is sent.
        self.others = [
            (name, given[name]) for name in active.LABELS if given.get(name) and name not in self.base_fields
        ]
        self._offer("actor_id", "Everybody", choices.actors)
        self._offer("action", "All actions", choices.actions)
        self._offer("subject_type", "All kinds", choices.subject_types)

    def _offer(self, name: str, every: str, options: list[Any]) -> None:
        chosen = self.data[name]
        flat = [value for one in options for value in _values(one)]
        # What was chosen stays offered, also when none of the newest entries has it.
        rare = [(chosen, chosen)] if chosen and chosen not in flat else []
        field: Any = self.fields[name]
        field.choices = [("", every), *rare, *options]


def _typed(name: str, value: str) -> str:
    moment = active.moment_of(value) if name in active.MOMENTS else None
    return format_typed(timezone.localtime(moment)) if moment else value


def _values(option: Any) -> list[str]:
    value, label = option
    return [inner for inner, _ in label] if isinstance(label, list) else [value]
