from __future__ import annotations

from typing import Any

from django import forms

from apps.audit.queries import Choices


class TrailForm(forms.Form):
    """The filters of the trail's page. It only draws them: `filters.TrailFilter` decides what they mean."""

    actor_id = forms.ChoiceField(required=False, label="Person or token")
    action = forms.ChoiceField(required=False, label="Action")
    subject_type = forms.ChoiceField(required=False, label="Kind of subject")
    q = forms.CharField(required=False, max_length=100, label="Part of a name")
    address = forms.CharField(required=False, max_length=45, label="Address")
    request_id = forms.CharField(required=False, max_length=64, label="Request id")

    def __init__(self, given: Any, choices: Choices) -> None:
        super().__init__(initial={name: given.get(name, "") for name in self.base_fields})
        self.use_required_attribute = False
        self._offer("actor_id", "Everybody", choices.actors)
        self._offer("action", "All actions", choices.actions)
        self._offer("subject_type", "All kinds", choices.subject_types)

    def _offer(self, name: str, every: str, options: list[Any]) -> None:
        chosen = self.initial[name]
        flat = [value for one in options for value in _values(one)]
        # What was chosen stays offered, also when none of the newest entries has it.
        rare = [(chosen, chosen)] if chosen and chosen not in flat else []
        field: Any = self.fields[name]
        field.choices = [("", every), *rare, *options]


def _values(option: Any) -> list[str]:
    value, label = option
    return [inner for inner, _ in label] if isinstance(label, list) else [value]
