from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.edge.plane import Plane, PrivateValkey, made_plane
from tests.replica.models import ModelFiles, write_model


@pytest.fixture(scope="session")
def model_files(tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def plane(tmp_path: Path, model_files: ModelFiles) -> Iterator[Plane]:
    """An empty data plane: start what the test needs."""
    yield from made_plane(tmp_path, model_files)


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory, model_files: ModelFiles) -> Iterator[Plane]:
    """A data plane with one deployment on one replica, for tests that break nothing."""
    for plane in made_plane(tmp_path_factory.mktemp("serving"), model_files):
        plane.acme.deploy(plane.start_replica())
        plane.acme.publish()
        plane.start_edge()
        yield plane


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[PrivateValkey]:
    server = PrivateValkey(tmp_path)
    yield server
    server.kill()
