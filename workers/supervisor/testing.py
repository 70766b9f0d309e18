"""Private services for tests: a throw-away PostgreSQL and Valkey, never those of `up`."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from workers.supervisor.environment import Installation, install
from workers.supervisor.instance import AlreadyRunning, Instance
from workers.supervisor.processes import Supervisor, run_to_end
from workers.supervisor.provision import Roles, provision
from workers.supervisor.state import SHARED, State
from workers.supervisor.terminal import complain
from workers.supervisor.up import start_services, stop_on_signals, unless_stopped

INTERRUPTED = 130
YOUNG_S = 60
PREFIX = f"modelyard-test-{os.geteuid()}-"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def run_with_services(command: Sequence[str], *, is_durable: bool = False) -> int:
    """Run a command that finds private services in its environment; its exit status."""
    return asyncio.run(_run_with_services(command, is_durable))


def test(arguments: Sequence[str]) -> int:
    return run_with_services([sys.executable, "-m", "pytest", "-n", "auto", *arguments])


async def _run_with_services(command: Sequence[str], is_durable: bool) -> int:
    stopping = stop_on_signals()
    async with services(is_durable=is_durable) as variables:
        code = await unless_stopped(run_to_end(command, {**os.environ, **variables, **browser()}), stopping)
        return INTERRUPTED if code is None else code


@asynccontextmanager
async def services(*, is_durable: bool = False) -> AsyncIterator[Mapping[str, str]]:
    """Start the services in a new folder, give their variables, and leave nothing behind."""
    parent = parent_folder()
    remove_abandoned(parent)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    folder.chmod(0o711)
    state = throwaway(folder, is_durable=is_durable)
    instance, supervisor = Instance(state), Supervisor(state.logs, state.run)
    instance.acquire()
    try:
        yield await start(state, supervisor)
    finally:
        await supervisor.stop()
        instance.stop_replicas()
        shutil.rmtree(folder)


async def start(state: State, supervisor: Supervisor) -> Mapping[str, str]:
    ports = [state.port(name) for name in ("public", "llm")]
    # Nothing of this shell's environment: it may speak of another installation.
    installation = install(state, {}, *ports)
    await start_services(installation, supervisor)
    installation.write_env_file()
    # A test database is made from template1, so that is where it gets the roles' rights from.
    await asyncio.to_thread(provision, installation.admin_url, test_roles(installation), "template1")
    return {**installation.variables, "DATABASE_ADMIN_URL": installation.admin_url}


def parent_folder() -> Path:
    """Where new folders are made: on disk, and for root where PostgreSQL's own user may pass.

    Not in memory: with durability off the page cache does as well, and a runaway log cannot take the machine with it.
    """
    if os.geteuid() != 0:
        return Path(tempfile.gettempdir())
    SHARED.mkdir(mode=0o711, parents=True, exist_ok=True)
    return SHARED


def test_roles(installation: Installation) -> Roles:
    return replace(installation.roles, owner_creates_databases=True)


def throwaway(folder: Path, *, is_durable: bool = False) -> State:
    """State that waits for the disk only if told to, and uses the checkout's copy of the binaries."""
    checkout = State.of_checkout({})
    checkout.make()
    state = State(folder / "state", folder / "services", checkout.binaries, is_durable=is_durable)
    state.make()
    return state


def browser() -> Mapping[str, str]:
    """Where the browser is. Its absence is told, and in CI it fails the tests that need it."""
    variables = {"MODELYARD_TEST_REQUIRE": "all"} if os.environ.get("CI") == "true" else {}
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUM)), None)
    if not found:
        complain("No Chromium: browser tests cannot run. Install it (Debian: apt-get install chromium).")
        return variables
    return {**variables, "CHROMIUM": found}


def remove_abandoned(parent: Path) -> None:
    """Stop and delete what a killed run left: nobody holds its lock any more."""
    for folder in parent.glob(PREFIX + "*"):
        state = State(folder / "state", folder / "services")
        # A younger one may just not have taken its lock yet.
        if not state.run.is_dir() or time.time() - folder.stat().st_mtime < YOUNG_S:
            continue
        instance = Instance(state)
        try:
            instance.acquire()
        except AlreadyRunning:
            continue
        instance.stop_leftovers()
        instance.release()
        shutil.rmtree(folder, ignore_errors=True)
