from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from apps.datasets.models import DatasetVersion
from apps.training import services
from apps.training.models import TrainingRun
from tests.factories import tables
from tests.working import run_all


@pytest.fixture
def no_heartbeat(settings: Any) -> None:
    settings.JOB_HEARTBEAT_SECONDS = 3600


@pytest.fixture
def plants(in_acme: Any, actor: Any, no_heartbeat: None) -> DatasetVersion:
    return tables.ready_version("plants", tables.plants_csv(), actor)


@pytest.fixture
def houses(in_acme: Any, actor: Any, no_heartbeat: None) -> DatasetVersion:
    return tables.ready_version("houses", tables.houses_csv(), actor)


@pytest.fixture
def start(actor: Any) -> Callable[..., TrainingRun]:
    """Create a run; small unless told otherwise."""

    def started(version: DatasetVersion, target: str, **options: Any) -> TrainingRun:
        defaults = {"name": "garden", "candidates": ["linear"], "folds": 3}
        return services.create_run(
            services.NewRun(dataset_version=version, target=target, **{**defaults, **options}), by=actor
        )

    return started


@pytest.fixture
def trained(plants: DatasetVersion, start: Any) -> TrainingRun:
    """A run of plants that has ended well."""
    run = start(plants, "species")
    run_all("training")
    run.refresh_from_db()
    assert run.status == "succeeded", run.job.error_message
    return run
