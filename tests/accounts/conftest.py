from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.cache import cache


@pytest.fixture(autouse=True)
def no_tries_counted() -> Iterator[None]:
    """Limits count in Redis, which outlives a test."""
    cache.clear()
    yield
    cache.clear()
