"""Keeps programs running: starts them, waits until they answer, restarts what dies, stops them in order."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from workers.supervisor import logs
from workers.supervisor.groups import Group
from workers.supervisor.terminal import say, tail

Probe = Callable[[], Awaitable[bool]]

PROBE_INTERVAL_S = 0.05
ROTATE_INTERVAL_S = 10.0
STABLE_S = 10.0
LONGEST_DELAY_S = 10.0
FAILED_STARTS = 4


@dataclass(frozen=True)
class Program:
    """One program to keep running, and how to tell that it is ready and how to stop it."""

    name: str
    command: Sequence[str]
    is_ready: Probe | None = None
    is_deferred: bool = False
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    sockets: Sequence[int] = ()
    user: int | None = None
    group: int | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    grace_s: float = 3.0
    sweep: Callable[[], None] | None = None


def given(program: Program, descriptor: int, name: str) -> Program:
    """The program with one more open file, whose number it finds in the variable `name`."""
    env = {**(program.env or os.environ), name: str(descriptor)}
    return replace(program, env=env, sockets=[*program.sockets, descriptor])


class NotReady(Exception):
    """A program that never answered, with the end of its log."""

    def __init__(self, name: str, log: Path) -> None:
        super().__init__(f"{name} did not start. The end of {log}:\n{tail(log)}")


def restart_delay_s(failures: int) -> float:
    """How long to wait before the next start: not at all after one death, then doubling up to a cap."""
    return 0.0 if failures <= 1 else min(0.1 * 2 ** min(failures, 20), LONGEST_DELAY_S)


class Keeper:
    """Keeps one program running until it is told to stop."""

    def __init__(self, program: Program, log: Path, pid_file: Path) -> None:
        self.program = program
        self.log = log
        self.process: Process | None = None
        self.failures = 0
        self._pid_file = pid_file
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        self._task = asyncio.create_task(self._keep(), name=self.program.name)

    async def until_ready(self, deadline_s: float) -> None:
        """Return once the program answers; raise NotReady when it keeps dying or the deadline passes."""
        try:
            async with asyncio.timeout(deadline_s):
                while not await self._answers():
                    if self.failures >= FAILED_STARTS:
                        raise NotReady(self.program.name, self.log)
                    await asyncio.sleep(PROBE_INTERVAL_S)
        except TimeoutError as error:
            raise NotReady(self.program.name, self.log) from error

    async def stop(self) -> None:
        """Ask it to end, then end it: nothing of its group is left afterwards."""
        self._stopping.set()
        self._signal(self.program.stop_signal)
        if self._task:
            await asyncio.wait([self._task], timeout=self.program.grace_s)
            self._signal(signal.SIGKILL)
            await self._task

    async def _keep(self) -> None:
        while not self._stopping.is_set():
            seconds = await self._run_once()
            self.failures = 1 if seconds > STABLE_S else self.failures + 1
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), restart_delay_s(self.failures))

    async def _run_once(self) -> float:
        """One life of the program, in seconds. Whatever it started dies with it."""
        clock = asyncio.get_running_loop().time
        began = clock()
        if self.program.sweep:
            await asyncio.to_thread(self.program.sweep)
        try:
            self.process = await self._spawn()
        except OSError as error:
            say(f"{self.program.name} could not be started: {error}")
            return 0.0
        code = await self._until_end(self.process)
        if not self._stopping.is_set():
            say(f"{self.program.name} ended ({reason(code)}), starting it again")
        return clock() - began

    async def _until_end(self, process: Process) -> int:
        group = Group.led_by(process.pid, self.program.stop_signal)
        # A full disk costs only what the pid file is for: being found after the supervisor itself was killed.
        with suppress(OSError):
            group.save(self._pid_file)
        if self._stopping.is_set():
            self._signal(self.program.stop_signal)
        code = await process.wait()
        group.kill()
        self._pid_file.unlink(missing_ok=True)
        return code

    async def _spawn(self) -> Process:
        program = self.program
        with self.log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *program.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(program.env) or None,
                cwd=program.cwd,
                pass_fds=tuple(program.sockets),
                user=program.user,
                group=program.group,
                extra_groups=None if program.user is None else [],
                start_new_session=True,
            )

    async def _answers(self) -> bool:
        if self.process is None or self.process.returncode is not None:
            return False
        return self.program.is_ready is None or await self.program.is_ready()

    def _signal(self, number: signal.Signals) -> None:
        if self.process and self.process.returncode is None:
            with suppress(ProcessLookupError):
                self.process.send_signal(number)


class Supervisor:
    """Programs started in stages, each stage ready before the next, and stopped in the opposite order."""

    def __init__(self, log_folder: Path, run_folder: Path) -> None:
        self._logs = log_folder
        self._run = run_folder
        self._stages: list[list[Keeper]] = []
        self._rotation: asyncio.Task[None] | None = None

    async def start(self, programs: Sequence[Program], deadline_s: float = 60.0) -> None:
        """Start these together and return when all of them are ready; they are kept running from then on.

        Deferred ones start when the others are ready, so that on a small machine they do not slow those down.
        """
        self._rotation = self._rotation or asyncio.create_task(self._rotate())
        stage = [self._keeper(program) for program in programs]
        self._stages.append(stage)
        for is_deferred in (False, True):
            keepers = [keeper for keeper in stage if keeper.program.is_deferred is is_deferred]
            for keeper in keepers:
                keeper.begin()
            await asyncio.gather(*(keeper.until_ready(deadline_s) for keeper in keepers))

    async def stop(self) -> None:
        while self._stages:
            await asyncio.gather(*(keeper.stop() for keeper in self._stages.pop()))
        if self._rotation:
            self._rotation.cancel()

    def pids(self) -> dict[str, int]:
        keepers = [keeper for stage in self._stages for keeper in stage]
        return {keeper.program.name: keeper.process.pid for keeper in keepers if keeper.process}

    def _keeper(self, program: Program) -> Keeper:
        return Keeper(program, self._logs / f"{program.name}.log", self._run / f"{program.name}.json")

    async def _rotate(self) -> None:
        while True:
            await asyncio.sleep(ROTATE_INTERVAL_S)
            for log in self._logs.glob("*.log"):
                with suppress(OSError):
                    await asyncio.to_thread(logs.rotate, log)


def reason(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


async def run_to_end(command: Sequence[str], env: Mapping[str, str], log: Path | None = None) -> int:
    """Run a command that ends by itself, in the log or else in the terminal; cancelling kills it."""
    with log.open("ab") if log else nullcontext() as output:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=dict(env), start_new_session=True
        )
    try:
        return await process.wait()
    except asyncio.CancelledError:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        raise
