"""What can be done to models: register a version, describe a model."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack
from uuid import UUID

from django.db import transaction
from django.db.models import Max

from apps.audit import services as audit
from apps.core import live, storage
from apps.core.actors import Actor
from apps.core.changes import apply_changes
from apps.core.ids import uuid7
from apps.datasets.models import DatasetVersion
from apps.organizations.models import Project
from apps.registry import errors
from apps.registry.models import FeatureImportance, Metric, Model, ModelVersion
from apps.usage import services as usage
from apps.usage.meters import STORED_BYTES


@dataclass(frozen=True, slots=True)
class Artifact:
    """Where a stored ONNX file lies."""

    path: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """One metric over the folds of a cross-validation."""

    name: str
    value: float
    std: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """What training hands over to be registered. `metrics` begin with the one that decided; `project` labels a model
    that is made by it."""

    model_name: str
    task: str
    algorithm: str
    target: str
    dataset_version: DatasetVersion
    training_run_id: UUID
    artifact: Artifact
    signature: Mapping[str, Any]
    metrics: Sequence[Measurement]
    importances: Mapping[str, float]
    compared_row_count: int
    largest_difference: float
    project: Project | None = None


def store_artifact(onnx: bytes) -> Artifact:
    """Keep ONNX bytes under their own hash: the same bytes again are the same file. Raises `StorageUnavailable`."""
    path = storage.tenant_path("models", f"{hashlib.sha256(onnx).hexdigest()}.onnx")
    sha256, size_bytes = storage.store(path, io.BytesIO(onnx))
    return Artifact(path, sha256, size_bytes)


@transaction.atomic
def register_version(trained: TrainedModel, *, by: Actor) -> ModelVersion:
    """Keep what a run learned as the next version of its model. A run has one version: the second call returns it.

    Raises `ModelTaskDiffers`.
    """
    model = _model_for_update(trained.model_name, trained.task, trained.project)
    if registered := ModelVersion.objects.filter(training_run_id=trained.training_run_id).first():
        return registered
    version = _add_version(model, trained)
    changes = {"model": model.name, "number": version.number, "training_run": str(trained.training_run_id)}
    audit.record(by, "model_version.registered", version, changes)
    _meter(version)
    live.publish("models")
    live.publish(f"model:{model.pk}")
    return version


def require_task(model_name: str, task: str) -> None:
    """Refuse a model name that is taken for another task. Raises `ModelTaskDiffers`."""
    model = Model.objects.filter(name=model_name).first()
    if model is not None and model.task != task:
        raise _task_differs(model, task)


def _task_differs(model: Model, task: str) -> errors.ModelTaskDiffers:
    return errors.ModelTaskDiffers(field="model_name", name=model.name, existing=model.task, task=task)


def _model_for_update(name: str, task: str, project: Project | None) -> Model:
    """The model of that name, made if need be, locked until the transaction ends: numbers are given one by one."""
    Model.objects.get_or_create(name=name, defaults={"task": task, "project": project})
    model = Model.objects.select_for_update().get(name=name)
    if model.task != task:
        raise _task_differs(model, task)
    return model


def _add_version(model: Model, trained: TrainedModel) -> ModelVersion:
    latest = model.versions.aggregate(latest=Max("number"))["latest"] or 0
    version = ModelVersion.objects.create(
        model=model,
        number=latest + 1,
        algorithm=trained.algorithm,
        target=trained.target,
        dataset_version=trained.dataset_version,
        training_run_id=trained.training_run_id,
        artifact_path=trained.artifact.path,
        artifact_sha256=trained.artifact.sha256,
        size_bytes=trained.artifact.size_bytes,
        signature=dict(trained.signature),
        compared_row_count=trained.compared_row_count,
        largest_difference=trained.largest_difference,
    )
    Metric.objects.bulk_create(
        Metric(
            version=version, position=position, name=one.name, value=one.value, std=one.std, low=one.low, high=one.high
        )
        for position, one in enumerate(trained.metrics)
    )
    FeatureImportance.objects.bulk_create(
        FeatureImportance(version=version, column=column, share=share) for column, share in trained.importances.items()
    )
    return version


def _meter(version: ModelVersion) -> None:
    """Count what is stored, once for a file. Never refused: what a run has learned is kept."""
    if not ModelVersion.objects.filter(artifact_path=version.artifact_path).exclude(pk=version.pk).exists():
        dimensions = {"model": version.model.name}
        usage.record(STORED_BYTES.name, version.size_bytes, event_id=uuid7(), dimensions=dimensions)


class ModelChanges(TypedDict, total=False):
    description: str
    project: Project | None


@transaction.atomic
def update_model(model: Model, *, by: Actor, **wanted: Unpack[ModelChanges]) -> Model:
    """Say what a model is for, or label it."""
    if changes := apply_changes(model, wanted):
        model.save(update_fields=list(changes))
        audit.record(by, "model.updated", model, changes)
        live.publish("models")
    return model
