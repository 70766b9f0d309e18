from __future__ import annotations

from datetime import timedelta

from django import forms

from apps.core.forms import EditForm
from apps.notifications.catalogue import EVENTS

OVERLAPS = [("0", "At once"), ("1", "In an hour"), ("24", "In a day"), ("168", "In a week")]


class NewEndpointForm(forms.Form):
    url = forms.CharField(
        label="URL",
        max_length=2000,
        help_text="Where events are posted: a public address, or one in a network that the operator allows.",
    )
    description = forms.CharField(required=False, max_length=200)
    events = forms.MultipleChoiceField(
        required=False,
        choices=[(event.name, event.name) for event in EVENTS.values()],
        widget=forms.CheckboxSelectMultiple,
        help_text="None chosen means all, also those that come later.",
    )


class EndpointForm(NewEndpointForm, EditForm):
    pass


class SecretRotationForm(forms.Form):
    overlap = forms.TypedChoiceField(
        label="The previous secret stops counting",
        choices=OVERLAPS,
        initial="24",
        coerce=lambda hours: timedelta(hours=int(hours)),
    )
