from __future__ import annotations

from typing import Any

from django import forms

from apps.organizations.models import Organization


class DeletionForm(forms.Form):
    confirmation = forms.CharField(widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}))

    def __init__(self, *args: Any, organization: Organization, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["confirmation"].label = f"Type {organization.name} to confirm"
