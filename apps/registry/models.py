"""What was learned: models and their immutable versions."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models

from apps.core import tenancy
from apps.core.formatting import format_significant
from apps.datasets.models import DatasetVersion
from apps.organizations.models import Project
from apps.registry.enums import AlgorithmName, MetricName, TaskName
from apps.registry.querysets import ModelVersionQuerySet


class Model(tenancy.TenantModel):
    """A name under which versions for one task are kept."""

    name = models.CharField(max_length=80)
    task = models.CharField(max_length=20, choices=TaskName.choices)
    description = models.TextField(max_length=2000, blank=True)
    project = models.ForeignKey(Project, null=True, blank=True, on_delete=models.SET_NULL, related_name="models")

    class Meta(tenancy.TenantModel.Meta):
        constraints = [models.UniqueConstraint(fields=["organization", "name"], name="registry_model_name")]

    def __str__(self) -> str:
        return self.name

    @property
    def latest_version(self) -> ModelVersion | None:
        """The newest version of a row that was read by `queries.models_with_latest_version`."""
        return next(iter(self.latest_versions), None)  # type: ignore[attr-defined]


class ModelVersion(tenancy.TenantModel):
    """One ONNX artifact, what it takes and gives, how good it is, and where it came from. Never changed."""

    model = models.ForeignKey(Model, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    algorithm = models.CharField(max_length=40, choices=AlgorithmName.choices)
    target = models.CharField(max_length=200)
    dataset_version = models.ForeignKey(DatasetVersion, on_delete=models.PROTECT, related_name="model_versions")
    # Training stands above the registry, so its run is named here, not referenced.
    training_run_id = models.UUIDField()
    artifact_path = models.CharField(max_length=300)
    artifact_sha256 = models.CharField(max_length=64)
    size_bytes = models.PositiveBigIntegerField()
    signature = models.JSONField()
    compared_row_count = models.PositiveIntegerField()
    largest_difference = models.FloatField()

    objects: ClassVar[Any] = tenancy.TenantManager.from_queryset(ModelVersionQuerySet)()

    class Meta(tenancy.TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["organization", "model", "number"], name="registry_version_number"),
            models.UniqueConstraint(fields=["organization", "training_run_id"], name="registry_version_once_per_run"),
        ]

    def __str__(self) -> str:
        return f"{self.model} v{self.number}"

    @property
    def label(self) -> str:
        return f"Version {self.number}"

    @property
    def primary_metric(self) -> Metric | None:
        """The metric by which the version was chosen."""
        return next((metric for metric in self.metrics.all() if metric.position == 0), None)

    @property
    def file_name(self) -> str:
        """What the artifact is called when it is downloaded."""
        safe = "".join(char if char.isascii() and char.isalnum() else "-" for char in self.model.name).strip("-")
        return f"{safe or 'model'}-v{self.number}.onnx"


class Metric(tenancy.TenantModel):
    """One measure of a version over its cross-validation: mean, spread, 95 % interval."""

    version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="metrics")
    position = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=40, choices=MetricName.choices)
    value = models.FloatField()
    std = models.FloatField()
    low = models.FloatField()
    high = models.FloatField()

    class Meta(tenancy.TenantModel.Meta):
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "version", "name"], name="registry_metric_once"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def interval(self) -> str:
        return f"{format_significant(self.low)} to {format_significant(self.high)}"


class FeatureImportance(tenancy.TenantModel):
    """How much a version relies on one column: its share of all columns' importance."""

    version = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="importances")
    column = models.CharField(max_length=200)
    share = models.FloatField()

    class Meta(tenancy.TenantModel.Meta):
        ordering = ["-share", "column"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "version", "column"], name="registry_importance_once"),
        ]

    def __str__(self) -> str:
        return self.column
