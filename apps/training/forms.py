from __future__ import annotations

from typing import Any

from django import forms

from apps.core.errors import DomainError
from apps.datasets.models import DatasetVersion
from apps.registry.enums import TaskName
from apps.training import queries
from apps.training.enums import MAX_FOLDS, MIN_FOLDS, Candidate
from apps.training.services import NewRun


class VersionField(forms.ModelChoiceField):
    def label_from_instance(self, version: DatasetVersion) -> str:
        return f"{version.dataset.name} v{version.number} ({version.row_count:,} rows)"


class RunForm(forms.Form):
    """A new run. The choices of `target` are the columns of the chosen version."""

    version = VersionField(queryset=None, label="Dataset version", empty_label="Choose a version")
    target = forms.ChoiceField(label="Target", help_text="The column to predict.")
    name = forms.CharField(max_length=80, label="Name", help_text="The model is registered under this name.")
    task = forms.ChoiceField(required=False, choices=[("", "Decide by the target"), *TaskName.choices])
    candidates = forms.MultipleChoiceField(
        choices=Candidate.choices, initial=Candidate.values, widget=forms.CheckboxSelectMultiple
    )
    folds = forms.IntegerField(
        min_value=MIN_FOLDS, max_value=MAX_FOLDS, initial=5, help_text="Each candidate is fitted once for each fold."
    )

    def __init__(self, *args: Any, version: DatasetVersion | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["version"].queryset = queries.trainable_versions()
        self.fields["target"].choices = queries.target_choices(version)
        if version is not None:
            self.initial.setdefault("version", version.pk)
            self.initial.setdefault("name", version.dataset.name)

    def field_of(self, error: DomainError) -> str | None:
        """The field that a refusal is about; None for the form as a whole."""
        name = {"dataset_version": "version", "model_name": "name"}.get(error.field or "", error.field)
        return name if name in self.fields else None

    def new_run(self) -> NewRun:
        values = self.cleaned_data
        return NewRun(
            name=values["name"],
            dataset_version=values["version"],
            target=values["target"],
            task=values["task"],
            candidates=values["candidates"],
            folds=values["folds"],
        )
