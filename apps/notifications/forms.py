from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms

from apps.core.forms import GridRow
from apps.notifications.catalogue import Event
from apps.notifications.enums import Channel


class PreferencesForm(forms.Form):
    """Which events to tell, by which channel; a choice is `<event>:<channel>`."""

    told = forms.MultipleChoiceField(label="Tell me when", required=False)

    def __init__(self, *args: Any, events: list[Event], wishes: Mapping[tuple[str, str], bool], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.events = events
        self.pairs = [
            (event.name, channel) for event in events for channel in Channel.values if event.is_optional(channel)
        ]
        field: Any = self.fields["told"]
        field.choices = [(_value(pair), _value(pair)) for pair in self.pairs]
        field.initial = [_value(pair) for pair in self.pairs if wishes[pair]]

    @property
    def wanted(self) -> dict[tuple[str, str], bool]:
        """The person's word on every pair that was offered."""
        return {pair: _value(pair) in self.cleaned_data["told"] for pair in self.pairs}

    def grid(self) -> list[GridRow]:
        return [self._row(event) for event in self.events]

    def _row(self, event: Event) -> GridRow:
        cells = [
            [(_value((event.name, channel)), "")] if event.is_optional(channel) else [] for channel in Channel.values
        ]
        return GridRow(event.words, event.name if event.mail_is_optional else f"{event.name}, always mailed", cells)


def _value(pair: tuple[str, str]) -> str:
    return ":".join(pair)
