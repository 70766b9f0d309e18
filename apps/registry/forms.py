from __future__ import annotations

from django import forms


class DescriptionForm(forms.Form):
    description = forms.CharField(
        max_length=2000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="What the model is for, and what its users should know.",
    )
