from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.installation import Installation


@pytest.fixture(scope="session")
def installation() -> Iterator[Installation]:
    """One installation for all drills; its first start is the main job, run by the sample project."""
    running = Installation()
    try:
        running.start()
        yield running
    finally:
        running.remove()
