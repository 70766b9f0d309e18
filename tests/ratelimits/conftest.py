from __future__ import annotations

from collections.abc import Iterator

import pytest

from apps.core.actors import Actor
from apps.organizations.permissions import ALL
from tests.edge.plane import PrivateValkey
from tests.factories.people import UserFactory


@pytest.fixture
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateValkey]:
    """One of its own, to stop and start."""
    server = PrivateValkey(tmp_path_factory.mktemp("valkey"))
    yield server
    server.kill()


@pytest.fixture
def operator(db: None) -> Actor:
    person = UserFactory(email="operator@example.test", is_staff=True, is_superuser=True)
    return Actor("operator", person.pk, "Operator operator@example.test", ALL, person.pk, request_id="req_test")
