from __future__ import annotations

from typing import Any

import pytest

from apps.core.actors import Actor
from apps.gateway import services
from apps.gateway.models import Upstream

SECRET = "sk-first-secret-of-acme-4711"


@pytest.fixture
def upstream(in_acme: Any, actor: Actor) -> Upstream:
    return services.create_upstream(name="Provider", kind="openai", secret=SECRET, by=actor)
