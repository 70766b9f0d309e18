"""Reads for the screens of models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Count, Prefetch, QuerySet

from apps.core import charts
from apps.core.formatting import format_percent
from apps.datasets.models import Column
from apps.registry import examples
from apps.registry.models import FeatureImportance, Model, ModelVersion


def models_with_latest_version() -> QuerySet[Model]:
    """Each model with its `version_count` and, in `latest_versions`, the newest one with its metrics."""
    newest = ModelVersion.objects.order_by("model_id", "-number").distinct("model_id").prefetch_related("metrics")
    models = Model.objects.annotate(version_count=Count("versions")).select_related("project")
    return models.prefetch_related(Prefetch("versions", queryset=newest, to_attr="latest_versions"))


def task_counts() -> list[tuple[str, int]]:
    """How many models there are for each task, for the filter."""
    return list(Model.objects.order_by("task").values_list("task").annotate(Count("id")))


def importance_chart(importances: Sequence[FeatureImportance], limit: int = 15) -> charts.Comparison:
    """The columns a version relies on most, as bars."""
    return charts.comparison(
        "Feature importance",
        [charts.Measured(importance.column, importance.share) for importance in importances[:limit]],
        value_name="Share",
        text=format_percent,
    )


def example_row(version: ModelVersion) -> dict[str, Any]:
    """A row that the version accepts, made of what is common in the dataset it learned from."""
    columns = Column.objects.filter(version=version.dataset_version_id)
    typical = {column.name: value for column in columns if (value := _typical_value(column)) is not None}
    return examples.example_row(version.signature, typical)


def _typical_value(column: Column) -> Any:
    """The median of numbers, else the most common value."""
    if (median := column.profile.get("quantiles", {}).get("0.5")) is not None:
        return median
    return next((top["value"] for top in column.profile.get("top", [])), None)


def onnx_example(version: ModelVersion) -> str:
    return examples.onnx_example(version.file_name, version.signature, example_row(version))
