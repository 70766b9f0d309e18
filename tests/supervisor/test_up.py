"""`up`, as a person meets it: started, started twice, stopped, killed, started again."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path

import psutil
import psycopg
import pytest
from dotenv import dotenv_values

from workers.supervisor.groups import Group
from workers.supervisor.instance import Instance
from workers.supervisor.probes import http_ok
from workers.supervisor.state import State
from workers.supervisor.testing import parent_folder

ROOT = Path(__file__).resolve().parents[2]
Start = Callable[..., Awaitable[Process]]


class Checkout:
    """A state folder of its own, and what is started in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = State(folder / "state", folder / "services")
        self._started: list[Process] = []

    async def up(self, **environ: str) -> Process:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.supervisor.stand_in", "up", str(self.folder)),
            cwd=ROOT,
            # Nothing else: the tests' own services must not be taken for this checkout's.
            env={"PATH": os.environ["PATH"], **environ},
            stdout=PIPE,
            stderr=STDOUT,
        )
        self._started.append(process)
        return process

    def pids(self) -> dict[str, int]:
        files = [file for file in self.state.run.glob("*.json") if file.stem != "supervisor"]
        return {file.stem: group.pid for file in files if (group := Group.load(file))}

    def variables(self) -> dict[str, str | None]:
        return dict(dotenv_values(self.state.folder / "env"))

    async def clear(self) -> None:
        for process in self._started:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
        if self.state.run.is_dir():
            Instance(self.state).stop_leftovers()
        shutil.rmtree(self.folder)


@asynccontextmanager
async def new_checkout() -> AsyncIterator[Checkout]:
    # Not pytest's folder, which is private: PostgreSQL's own user has to pass through.
    folder = Path(tempfile.mkdtemp(prefix="modelyard-up-", dir=parent_folder()))
    folder.chmod(0o711)
    made = Checkout(folder)
    try:
        yield made
    finally:
        await made.clear()


@pytest.fixture
async def checkout() -> AsyncIterator[Checkout]:
    async with new_checkout() as made:
        yield made


async def until_said(process: Process, *texts: str) -> str:
    """Read the terminal until all of these were said, in any order."""
    assert process.stdout
    said = ""
    async with asyncio.timeout(60):
        while not all(text in said for text in texts):
            line = await process.stdout.readline()
            assert line, f"it ended without saying {texts}:\n{said}"
            said += line.decode()
    return said


async def everything_said(process: Process) -> str:
    async with asyncio.timeout(60):
        said, _ = await process.communicate()
    return said.decode()


async def stopped(process: Process, number: signal.Signals = signal.SIGTERM) -> int:
    process.send_signal(number)
    await everything_said(process)
    return await process.wait()


def alive(pids: dict[str, int]) -> list[str]:
    return [name for name, pid in pids.items() if is_alive(pid)]


def is_alive(pid: int) -> bool:
    # An orphan that ended stays a zombie where the first process of a container does not collect it.
    return bool(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)


async def test_it_answers_at_the_address_it_prints_and_stops_without_a_trace(checkout: Checkout) -> None:
    process = await checkout.up()
    said = await until_said(process, "ready")
    assert checkout_url(checkout) in said
    pids = checkout.pids()
    assert sorted(pids) == ["edge", "postgres", "valkey", "web"]
    assert await stopped(process, signal.SIGINT) == 0
    assert alive(pids) == []
    assert checkout.pids() == {}


def checkout_url(checkout: Checkout) -> str:
    return str(checkout.variables()["PUBLIC_URL"])


async def test_the_next_start_has_the_same_address_and_the_same_data(checkout: Checkout) -> None:
    process = await checkout.up()
    await until_said(process, "ready")
    before = checkout.variables()
    execute(before["DATABASE_OWNER_URL"], "CREATE TABLE kept (id int)")
    await stopped(process)
    await until_said(await checkout.up(), "ready")
    assert checkout.variables() == before
    execute(before["DATABASE_URL"], "INSERT INTO kept VALUES (1)")


async def test_a_second_start_names_the_first_and_fails(checkout: Checkout) -> None:
    first = await checkout.up()
    await until_said(first, "ready")
    second = await checkout.up()
    said = await everything_said(second)
    assert second.returncode == 1
    assert str(first.pid) in said
    assert checkout_url(checkout) in said
    assert first.returncode is None


async def test_two_checkouts_run_side_by_side(checkout: Checkout) -> None:
    async with new_checkout() as other:
        await until_said(await checkout.up(), "ready")
        await until_said(await other.up(), "ready")
        assert checkout_url(checkout) != checkout_url(other)


async def test_a_killed_supervisor_is_cleaned_up_after(checkout: Checkout) -> None:
    process = await checkout.up()
    await until_said(process, "ready")
    before, pids = checkout.variables(), checkout.pids()
    await stopped_hard(process)
    assert sorted(alive(pids)) == ["edge", "postgres", "valkey", "web"]
    await until_said(await checkout.up(), "ready")
    assert alive(pids) == []
    assert checkout.variables() == before


async def stopped_hard(process: Process) -> None:
    process.kill()
    await process.wait()


async def test_every_killed_process_comes_back_and_committed_rows_survive(checkout: Checkout) -> None:
    process = await checkout.up()
    await until_said(process, "ready")
    variables, killed = checkout.variables(), checkout.pids()
    execute(variables["DATABASE_OWNER_URL"], "CREATE TABLE kept AS SELECT 7 AS number")
    for pid in killed.values():
        os.kill(pid, signal.SIGKILL)
    await until_said(process, *(f"{name} ended (killed by SIGKILL)" for name in killed))
    async with asyncio.timeout(30):
        while kept(variables) != 7 or not await answers(variables):
            await asyncio.sleep(0.05)
    assert set(alive(checkout.pids())) == set(killed)
    assert not set(checkout.pids().values()) & set(killed.values())


async def test_it_goes_on_when_nobody_reads_its_terminal_any_more(checkout: Checkout) -> None:
    process = await checkout.up()
    await until_said(process, "ready")
    killed = checkout.pids()["web"]
    close_terminal_of(process)
    os.kill(killed, signal.SIGKILL)
    async with asyncio.timeout(30):
        while checkout.pids().get("web", killed) == killed or not await answers(checkout.variables()):
            await asyncio.sleep(0.05)
    assert process.returncode is None


def close_terminal_of(process: Process) -> None:
    transport = process._transport.get_pipe_transport(1)  # type: ignore[attr-defined]
    transport.close()


async def answers(variables: dict[str, str | None]) -> bool:
    return await http_ok(int(str(variables["PUBLIC_URL"]).rsplit(":", 1)[1]))()


def kept(variables: dict[str, str | None]) -> object:
    """The number that was written before the kill; None while the database is being restarted."""
    try:
        with psycopg.connect(str(variables["DATABASE_OWNER_URL"])) as connection:
            row = connection.execute("SELECT number FROM kept").fetchone()
            return row[0] if row else None
    except psycopg.OperationalError:
        return None


async def test_what_a_program_tells_the_person_is_shown_and_in_no_log(checkout: Checkout) -> None:
    process = await checkout.up()
    await until_said(process, "ready")
    await asyncio.to_thread(tell, checkout_url(checkout), b"--- Mail to somebody: https://secret.example/link\n")
    await until_said(process, "--- Mail to somebody: https://secret.example/link")
    logs = "".join(log.read_text() for log in checkout.state.logs.iterdir())
    assert "secret.example" not in logs


def tell(url: str, text: bytes) -> None:
    connection = HTTPConnection(url.removeprefix("http://"), timeout=10)
    connection.request("POST", "/", text)
    assert connection.getresponse().status == 200
    connection.close()


async def test_reset_stops_what_runs_and_forgets_it(checkout: Checkout) -> None:
    process = await checkout.up()
    await until_said(process, "ready")
    pids = checkout.pids()
    instance = Instance(checkout.state)
    reading = asyncio.create_task(everything_said(process))
    await asyncio.to_thread(instance.evict)
    await reading
    checkout.state.delete()
    instance.release()
    assert alive(pids) == []
    assert not checkout.state.folder.exists()
    assert not checkout.state.services.exists()


async def test_the_port_asked_for_is_used_or_refused(checkout: Checkout) -> None:
    port = checkout_port(checkout)
    process = await checkout.up(PORT=str(port))
    await until_said(process, f"ready: http://127.0.0.1:{port}")
    async with new_checkout() as other:
        refused = await other.up(PORT=str(port))
        assert f"Port {port} is already in use" in await everything_said(refused)
        assert refused.returncode == 1


def checkout_port(checkout: Checkout) -> int:
    checkout.state.make()
    return checkout.state.port("asked for")


async def test_a_port_that_is_no_number_is_refused(checkout: Checkout) -> None:
    process = await checkout.up(PORT="web")
    assert "PORT has to be a number" in await everything_said(process)
    assert process.returncode == 1


async def test_ctrl_c_in_the_middle_of_the_start_leaves_nothing(checkout: Checkout) -> None:
    process = await checkout.up()
    await until_said(process, "Starting the services")
    assert await stopped(process, signal.SIGINT) == 0
    assert checkout.pids() == {}


def execute(url: str | None, statement: str) -> None:
    with psycopg.connect(str(url), autocommit=True) as connection:
        connection.execute(statement)
