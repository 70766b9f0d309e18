"""Registering versions: numbered, immutable, once for each run."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from django.db import connections, transaction
from django.utils import timezone

from apps.audit.models import AuditEntry
from apps.core import storage, tenancy
from apps.core.actors import SYSTEM
from apps.registry import errors, services
from apps.registry.models import Model, ModelVersion
from apps.usage import counting, meters
from tests.factories import serving

pytestmark = pytest.mark.django_db


@pytest.fixture
def trained(in_acme: Any) -> services.TrainedModel:
    return services.TrainedModel(
        model_name="leaving",
        task="binary",
        algorithm="lightgbm",
        target="label",
        dataset_version=serving._dataset_version("leaving"),
        training_run_id=uuid4(),
        artifact=services.store_artifact(b"onnx bytes"),
        signature=serving.SIGNATURE,
        metrics=[
            services.Measurement("log_loss", 0.3, 0.01, 0.28, 0.32),
            services.Measurement("roc_auc", 0.9, 0.01, 0.88, 0.92),
        ],
        importances={"age": 0.25, "income": 0.75},
        compared_row_count=100,
        largest_difference=1e-7,
    )


def test_a_version_keeps_everything_it_was_registered_with(trained: services.TrainedModel) -> None:
    version = services.register_version(trained, by=SYSTEM)
    assert (str(version), version.model.task, version.signature) == ("leaving v1", "binary", serving.SIGNATURE)
    assert [metric.name for metric in version.metrics.all()] == ["log_loss", "roc_auc"]
    assert version.primary_metric is not None
    assert version.primary_metric.value == 0.3
    assert [row.column for row in version.importances.all()] == ["income", "age"]
    assert AuditEntry.objects.get(action="model_version.registered").subject_id == version.pk


def test_stored_bytes_grow_by_each_file_once_and_by_none_that_is_not_registered(trained: services.TrainedModel) -> None:
    def stored() -> int:
        return counting.used(meters.STORED_BYTES, timezone.now())

    before, size = stored(), trained.artifact.size_bytes
    for _ in range(2):
        services.register_version(trained, by=SYSTEM)
        assert stored() - before == size
    services.register_version(replace(trained, training_run_id=uuid4()), by=SYSTEM)
    assert stored() - before == size, "the same bytes are the same file"
    other = replace(trained, training_run_id=uuid4(), artifact=services.store_artifact(b"others"))
    with pytest.raises(RuntimeError), transaction.atomic():
        services.register_version(other, by=SYSTEM)
        raise RuntimeError
    assert stored() - before == size
    services.register_version(other, by=SYSTEM)
    assert stored() - before == size + len(b"others")


def test_the_artifact_is_kept_under_its_hash_and_the_same_bytes_are_the_same_file(in_acme: Any) -> None:
    first, second = services.store_artifact(b"onnx bytes"), services.store_artifact(b"onnx bytes")
    assert first == second
    assert first.path == f"{in_acme.pk}/models/{first.sha256}.onnx"
    with storage.open_stream(first.path) as stream:
        assert stream.read() == b"onnx bytes"


def test_p2_a_run_that_registers_twice_has_one_version(trained: services.TrainedModel) -> None:
    assert services.register_version(trained, by=SYSTEM) == services.register_version(trained, by=SYSTEM)
    assert ModelVersion.objects.count() == 1


def test_versions_of_a_model_are_numbered_one_by_one(trained: services.TrainedModel) -> None:
    versions = [services.register_version(replace(trained, training_run_id=uuid4()), by=SYSTEM) for _ in range(3)]
    assert [version.number for version in versions] == [1, 2, 3]
    other = services.register_version(replace(trained, training_run_id=uuid4(), model_name="other"), by=SYSTEM)
    assert other.number == 1


def test_a_model_has_one_task(trained: services.TrainedModel) -> None:
    services.register_version(trained, by=SYSTEM)
    with pytest.raises(errors.ModelTaskDiffers):
        services.register_version(replace(trained, training_run_id=uuid4(), task="regression"), by=SYSTEM)
    assert (Model.objects.count(), ModelVersion.objects.count()) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_versions_registered_at_the_same_time_get_different_numbers(trained: services.TrainedModel, acme: Any) -> None:
    def register(_: int) -> int:
        try:
            with tenancy.scope(acme.pk):
                return services.register_version(replace(trained, training_run_id=uuid4()), by=SYSTEM).number
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(register, range(4))) == [1, 2, 3, 4]


def test_describing_a_model_is_told_to_the_trail(trained: services.TrainedModel, actor: Any) -> None:
    model = services.register_version(trained, by=SYSTEM).model
    services.update_model(model, description="Who is about to leave.", by=actor)
    assert Model.objects.get().description == "Who is about to leave."
    assert AuditEntry.objects.get(action="model.updated").changes == {"description": ["", "Who is about to leave."]}
