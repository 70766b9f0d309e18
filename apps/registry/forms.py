from __future__ import annotations

from django import forms

from apps.core.forms import EditForm
from apps.organizations.forms.projects import ProjectField


class ModelForm(EditForm):
    description = forms.CharField(
        max_length=2000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="What the model is for, and what its users should know.",
    )
    project = ProjectField()
