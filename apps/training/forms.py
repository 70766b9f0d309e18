from __future__ import annotations

from typing import Any

from django import forms

from apps.core.formatting import format_count
from apps.datasets.models import DatasetVersion
from apps.organizations.forms.projects import ProjectField
from apps.registry.enums import TaskName
from apps.training import queries
from apps.training.enums import MAX_FOLDS, MIN_FOLDS, Candidate


class VersionField(forms.ModelChoiceField):
    def label_from_instance(self, version: DatasetVersion) -> str:
        return f"{version.dataset.name} v{version.number} ({format_count(version.row_count)} rows)"


class RunForm(forms.Form):
    """A new run. The choices of `target` are the columns of the chosen dataset version."""

    dataset_version = VersionField(queryset=None, label="Dataset version", empty_label="Choose a version")
    target = forms.ChoiceField(label="Target", help_text="The column to predict.")
    name = forms.CharField(max_length=80, label="Name", help_text="The model is registered under this name.")
    task = forms.ChoiceField(required=False, choices=[("", "Decide by the target"), *TaskName.choices])
    candidates = forms.MultipleChoiceField(
        choices=Candidate.choices, initial=Candidate.values, widget=forms.CheckboxSelectMultiple
    )
    folds = forms.IntegerField(
        min_value=MIN_FOLDS, max_value=MAX_FOLDS, initial=5, help_text="Each candidate is fitted once for each fold."
    )
    project = ProjectField(help_text="The model that the run makes carries it too.")

    def __init__(self, *args: Any, version: DatasetVersion | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fields: dict[str, Any] = self.fields
        fields["dataset_version"].queryset = queries.trainable_versions()
        fields["target"].choices = queries.target_choices(version)
        if version is not None:
            self.initial.setdefault("dataset_version", version.pk)
            self.initial.setdefault("name", version.dataset.name)
            self.initial.setdefault("project", version.dataset.project_id)
