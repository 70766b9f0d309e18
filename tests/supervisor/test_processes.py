"""Programs are kept running, with everything they start, until they are told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.supervisor import stand_in
from workers.supervisor import ports
from workers.supervisor.groups import Group
from workers.supervisor.probes import status_of
from workers.supervisor.processes import LONGEST_DELAY_S, NotReady, Program, Supervisor, restart_delay_s, run_to_end

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); print('on', flush=True); time.sleep(600)",
]
PARENT = [
    sys.executable,
    "-c",
    "import subprocess, sys, time\n"
    "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']).pid, flush=True)\n"
    "time.sleep(600)",
]
SURROUNDINGS = [
    sys.executable,
    "-c",
    "import os, sys; print(sys.stdin.read() == '', os.getsid(0) == os.getpid(), len(os.listdir('/proc/self/fd')))",
]


@pytest.fixture
async def supervisor(tmp_path: Path) -> AsyncIterator[Supervisor]:
    made = Supervisor(tmp_path, tmp_path)
    yield made
    await made.stop()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)


def is_alive(pid: int) -> bool:
    return bool(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)


async def test_a_killed_program_is_started_again(supervisor: Supervisor) -> None:
    await supervisor.start([Program("sleeper", SLEEPER)])
    first = supervisor.pids()["sleeper"]
    os.kill(first, signal.SIGKILL)
    await until(lambda: supervisor.pids()["sleeper"] != first)
    assert is_alive(supervisor.pids()["sleeper"])
    assert not is_alive(first)


async def test_what_a_killed_program_started_dies_with_it(supervisor: Supervisor, tmp_path: Path) -> None:
    await supervisor.start([Program("parent", PARENT)])
    log = tmp_path / "parent.log"
    await until(lambda: log.exists() and bool(log.read_text()))
    child = int(log.read_text().split()[0])
    os.kill(supervisor.pids()["parent"], signal.SIGKILL)
    await until(lambda: not is_alive(child))


async def test_a_deferred_program_starts_when_the_others_are_ready(supervisor: Supervisor) -> None:
    started_before_ready = []

    async def is_ready() -> bool:
        started_before_ready.append("late" in supervisor.pids())
        return len(started_before_ready) == 3

    await supervisor.start([Program("late", SLEEPER, is_deferred=True), Program("early", SLEEPER, is_ready=is_ready)])
    assert started_before_ready == [False, False, False]
    await until(lambda: "late" in supervisor.pids())


async def test_a_program_that_ignores_its_signal_is_killed_after_its_grace(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path, tmp_path)
    await supervisor.start([Program("stubborn", STUBBORN, grace_s=0.2)])
    await until(lambda: "on" in (tmp_path / "stubborn.log").read_text())
    pid = supervisor.pids()["stubborn"]
    await supervisor.stop()
    assert not is_alive(pid)


async def test_stopping_leaves_neither_processes_nor_pid_files(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path, tmp_path)
    await supervisor.start([Program("one", SLEEPER), Program("other", SLEEPER)])
    pids = list(supervisor.pids().values())
    await until(lambda: len(list(tmp_path.glob("*.json"))) == 2)
    await supervisor.stop()
    assert not any(is_alive(pid) for pid in pids)
    assert not list(tmp_path.glob("*.json"))


async def test_a_program_that_keeps_dying_is_reported_with_its_last_words(supervisor: Supervisor) -> None:
    program = Program("broken", [sys.executable, "-c", "raise SystemExit('no such port')"], is_ready=never)
    with pytest.raises(NotReady, match="no such port"):
        await supervisor.start([program])


async def test_a_program_that_never_answers_is_reported(supervisor: Supervisor) -> None:
    with pytest.raises(NotReady, match="silent did not start"):
        await supervisor.start([Program("silent", SLEEPER, is_ready=never)], deadline_s=0.3)


async def test_a_command_that_cannot_be_run_is_reported(supervisor: Supervisor) -> None:
    with pytest.raises(NotReady, match="absent did not start"):
        await supervisor.start([Program("absent", ["/nonexistent/program"], is_ready=never)])


async def test_clients_wait_while_a_server_is_restarted(supervisor: Supervisor) -> None:
    with ports.listen(ports.choose(taken=set())) as listener:
        port = listener.getsockname()[1]
        await supervisor.start([stand_in.web(listener)])
        statuses = []
        for _ in range(3):
            os.kill(supervisor.pids()["web"], signal.SIGKILL)
            statuses += await asyncio.gather(*(status_of(port, "/") for _ in range(5)))
        assert set(statuses) <= {200, 0}
        assert await status_of(port, "/") == 200


async def test_a_child_gets_no_terminal_and_no_descriptor_but_its_own(tmp_path: Path) -> None:
    with (tmp_path / "held").open("w"):
        await run_to_end(SURROUNDINGS, dict(os.environ), tmp_path / "out.log")
    # Standard input, output and error, and the descriptor that lists the folder.
    assert (tmp_path / "out.log").read_text().split() == ["True", "True", "4"]


async def test_a_cancelled_command_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "parent.log"
    work = asyncio.create_task(run_to_end(PARENT, dict(os.environ), log))
    await until(lambda: log.exists() and bool(log.read_text()))
    work.cancel()
    await asyncio.wait([work])
    await until(lambda: not is_alive(int(log.read_text().split()[0])))


async def test_a_reused_number_is_not_taken_for_the_group_it_once_was() -> None:
    process = await asyncio.create_subprocess_exec(*SLEEPER, start_new_session=True)
    group = Group.led_by(process.pid)
    assert [member.pid for member in group.members()] == [process.pid]
    assert Group(group.pid, group.started_at - 3600).members() == []
    group.kill()
    await process.wait()
    assert group.members() == []


def test_a_cut_pid_file_names_nobody(tmp_path: Path) -> None:
    file = tmp_path / "web.json"
    file.write_text('{"pid": 12')
    assert Group.load(file) is None
    assert Group.load(tmp_path / "absent.json") is None


@given(st.integers(0, 10_000))
def test_the_wait_before_a_restart_grows_up_to_a_cap(failures: int) -> None:
    assert restart_delay_s(failures) <= restart_delay_s(failures + 1) <= LONGEST_DELAY_S


def test_the_first_death_is_healed_at_once() -> None:
    assert restart_delay_s(1) == 0


async def never() -> bool:
    return False
