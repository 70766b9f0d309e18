from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils import timezone

from apps.audit import active, search
from apps.audit.queries import Choices

TYPED = "%Y-%m-%dT%H:%M:%S"


def _moment(label: str) -> forms.DateTimeField:
    return forms.DateTimeField(
        required=False, label=label, widget=forms.DateTimeInput(attrs={"type": "datetime-local", "step": 1})
    )


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
    return timezone.localtime(moment).strftime(TYPED) if moment else value


def _values(option: Any) -> list[str]:
    value, label = option
    return [inner for inner, _ in label] if isinstance(label, list) else [value]
