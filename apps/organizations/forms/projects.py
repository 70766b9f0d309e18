from __future__ import annotations

from typing import Any

from django import forms

from apps.core.forms import EditForm
from apps.organizations.models import Project


class ProjectField(forms.ModelChoiceField):
    """Which project a thing carries as its label, if any."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(queryset=Project.objects.all(), **{"required": False, "empty_label": "None", **kwargs})


class NewProjectForm(forms.Form):
    name = forms.CharField(max_length=80, help_text="What the work is for, such as “Churn” or “Spring campaign”.")
    description = forms.CharField(required=False, max_length=300)


class ProjectForm(NewProjectForm, EditForm):
    pass
