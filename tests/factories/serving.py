"""A registered model version whose artifact is real, so that replicas can serve it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from apps.core.actors import SYSTEM
from apps.datasets.enums import VersionStatus
from apps.datasets.models import Dataset, DatasetVersion
from apps.registry import services
from apps.registry.models import ModelVersion
from tests.replica.models import SIGNATURE, write_model


def make_model_version(model_name: str = "leaving", dataset_version: DatasetVersion | None = None) -> ModelVersion:
    """The next version of `model_name` in the current organization; of rows that do not exist unless given."""
    with TemporaryDirectory() as folder:
        artifact = services.store_artifact(write_model(Path(folder)).model.read_bytes())
    trained = services.TrainedModel(
        model_name=model_name,
        task="binary",
        algorithm="logistic",
        target="label",
        dataset_version=dataset_version or _dataset_version(model_name),
        training_run_id=uuid4(),
        artifact=artifact,
        signature=SIGNATURE,
        metrics=[services.Measurement("roc_auc", 0.9, 0.01, 0.88, 0.92)],
        importances={"age": 0.7, "income": 0.2, "plan": 0.1},
        compared_row_count=100,
        largest_difference=0.0,
    )
    return services.register_version(trained, by=SYSTEM)


def _dataset_version(name: str) -> DatasetVersion:
    dataset, _ = Dataset.objects.get_or_create(name=f"{name} data")
    version, _ = DatasetVersion.objects.get_or_create(
        dataset=dataset,
        number=1,
        defaults={
            "status": VersionStatus.READY.value,
            "source_name": "people.csv",
            "row_count": 100,
            "column_count": 4,
        },
    )
    return version
