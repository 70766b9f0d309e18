from __future__ import annotations

import re
from typing import Any, cast

from django import forms

from apps.deployments import queries
from apps.deployments.models import MAX_REPLICAS, NAME, Deployment
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
    """A new endpoint. The name is suggested by the chosen version's model."""

    model_version = VersionField(label="Model version")
    name = forms.CharField(max_length=63, validators=[NAME], help_text="Callers use it: /v2/models/<name>/infer.")
    replica_count = ReplicaCountField(
        label="Replicas", initial=1, help_text="Each is one process that answers one call at a time."
    )

    def __init__(self, *args: Any, version: ModelVersion | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        cast("VersionField", self.fields["model_version"]).queryset = queries.deployable_versions()
        if version is not None:
            self.initial = {**self.initial, "model_version": version.pk, "name": suggested_name(version.model.name)}


class ScaleForm(forms.Form):
    replica_count = ReplicaCountField(label="Replicas")

    def __init__(self, *args: Any, deployment: Deployment, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "initial": {"replica_count": deployment.replica_count}})


class VersionForm(forms.Form):
    model_version = VersionField(
        label="Model version",
        help_text="The version before answers until the new one's replicas are all ready.",
    )

    def __init__(self, *args: Any, deployment: Deployment, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "initial": {"model_version": deployment.model_version_id}})
        cast("VersionField", self.fields["model_version"]).queryset = queries.deployable_versions()


def suggested_name(model_name: str) -> str:
    """The model's name as far as it may stand in an address."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", model_name).strip("-._")[:63]
