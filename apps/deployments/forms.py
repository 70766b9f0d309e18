from __future__ import annotations

import re
from typing import Any, cast

from django import forms

from apps.core.forms import EditForm
from apps.deployments import queries
from apps.deployments.models import MAX_REPLICAS, NAME, Deployment
from apps.organizations.forms.projects import ProjectField
from apps.registry.models import ModelVersion


class VersionField(forms.ModelChoiceField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(queryset=ModelVersion.objects.all(), empty_label="Choose a version", **kwargs)

    def label_from_instance(self, version: ModelVersion) -> str:
        return str(version)


class ReplicaCountField(forms.IntegerField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=0, max_value=MAX_REPLICAS, **kwargs)


class DeploymentForm(forms.Form):
    """A new endpoint, called like its model unless named otherwise."""

    model_version = VersionField(label="Model version")
    name = forms.CharField(
        max_length=63,
        validators=[NAME],
        required=False,
        help_text="Callers use it: /v2/models/<name>/infer. Left empty, it is the model's name.",
    )
    replica_count = ReplicaCountField(
        label="Replicas", initial=1, help_text="Each is one process that answers one call at a time."
    )
    project = ProjectField(empty_label="The model's project")

    def __init__(self, *args: Any, version: ModelVersion | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        cast("VersionField", self.fields["model_version"]).queryset = queries.deployable_versions()
        if version is not None:
            self.initial = {**self.initial, "model_version": version.pk}

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        if not given.get("name") and "name" not in self.errors and given.get("model_version"):
            given["name"] = suggested_name(given["model_version"].model.name)
        return given


class ScaleForm(EditForm):
    replica_count = ReplicaCountField(label="Replicas")


class LabelForm(EditForm):
    project = ProjectField()


class VersionForm(EditForm):
    model_version = VersionField(
        label="Model version",
        help_text="The version before answers until the new one's replicas are all ready.",
    )

    def __init__(self, *args: Any, row: Deployment, **kwargs: Any) -> None:
        super().__init__(*args, row=row, **kwargs)
        versions = queries.deployable_versions().filter(model=row.model_version.model_id)
        cast("VersionField", self.fields["model_version"]).queryset = versions


def suggested_name(model_name: str) -> str:
    """The model's name as far as it may stand in an address."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", model_name).strip("-._")[:63]
