from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal

from tests.drills import checking
from tests.drills.ground import Ground
from workers.supervisor.testing import services


@pytest.fixture(scope="package")
def prepared() -> Iterator[Ground]:
    """Services that drills may restart and flush, with a migrated database."""
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(services(is_durable=True)) as variables:
        made = Ground(portal, variables)
        try:
            made.prepare()
            checking.prepare(made)
            yield made
        finally:
            made.close()


@pytest.fixture
def ground(prepared: Ground) -> Ground:
    """With nothing left of another drill, however that one ended."""
    prepared.forget()
    return prepared


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What the drills measured, which docs/operations.md tells of."""
    reports = terminalreporter.stats.get("passed", [])
    measured = [f"{name}: {value}" for report in reports for name, value in report.user_properties]
    if measured:
        terminalreporter.section("measured")
    for line in measured:
        terminalreporter.line(line)
