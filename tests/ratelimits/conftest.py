from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.edge.plane import PrivateValkey


@pytest.fixture
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateValkey]:
    """One of its own, to stop and start."""
    server = PrivateValkey(tmp_path_factory.mktemp("valkey"))
    yield server
    server.kill()
