"""`up`: services, then schema, then processes, then the sample; then it stays until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg

from workers.supervisor import ports
from workers.supervisor.environment import Installation, Misconfigured, install
from workers.supervisor.instance import AlreadyRunning, Instance
from workers.supervisor.ports import PortTaken
from workers.supervisor.postgres import ClusterNotMade
from workers.supervisor.processes import NotReady, Program, Supervisor, given
from workers.supervisor.programs import Sockets, application_programs, port_of
from workers.supervisor.sample import create_sample, greeting
from workers.supervisor.setup import StepFailed, set_up
from workers.supervisor.state import State
from workers.supervisor.terminal import Speaker, complain, say

T = TypeVar("T")
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
REFUSALS = (AlreadyRunning, ClusterNotMade, Misconfigured, NotReady, PortTaken, StepFailed, psycopg.Error)


@dataclass(frozen=True)
class Plan:
    """What is run beside the services."""

    programs: Callable[[Mapping[str, str], Sockets], Sequence[Program]] = application_programs
    set_up: Callable[[Installation], Awaitable[None]] = set_up
    create_sample: Callable[[Installation], Awaitable[None]] = create_sample


def up(state: State, environ: Mapping[str, str], plan: Plan | None = None) -> int:
    """Run this installation until it is told to stop; the exit status, with the reason on the terminal."""
    state.make()
    instance = Instance(state)
    try:
        instance.acquire()
        return asyncio.run(run(state, environ, instance, plan or Plan()))
    except REFUSALS as error:
        complain(str(error))
        return 1
    finally:
        instance.release()


async def run(state: State, environ: Mapping[str, str], instance: Instance, plan: Plan) -> int:
    stopping = stop_on_signals()
    instance.stop_leftovers()
    sockets = open_sockets(state, environ)
    supervisor, speaker = Supervisor(state.logs, state.run), Speaker()
    speaker.listen()
    installation = install(state, environ, *map(port_of, (sockets.public, sockets.llm)))
    instance.announce(installation.variables["PUBLIC_URL"])
    try:
        programs = [
            given(program, speaker.writing, "TERMINAL_FD") for program in plan.programs(installation.variables, sockets)
        ]
        await unless_stopped(bring_up(installation, supervisor, plan, programs), stopping)
        await stopping.wait()
    finally:
        say("Stopping")
        sockets.close()
        await supervisor.stop()
        await asyncio.to_thread(instance.stop_replicas)
        speaker.close()
    return 0


async def bring_up(installation: Installation, supervisor: Supervisor, plan: Plan, programs: Sequence[Program]) -> None:
    say("Starting the services")
    await start_services(installation, supervisor)
    installation.write_env_file()
    await plan.set_up(installation)
    say("Starting " + ", ".join(program.name for program in programs))
    await supervisor.start(programs)
    await plan.create_sample(installation)
    say(greeting(installation))


async def start_services(installation: Installation, supervisor: Supervisor) -> None:
    """Start the embedded services, first making what they need."""
    services = [service for service in (installation.postgres, installation.valkey) if service]
    for service in services:
        await asyncio.to_thread(service.prepare)
    await supervisor.start([service.program() for service in services])


async def unless_stopped(work: Coroutine[Any, Any, T], stopping: asyncio.Event) -> T | None:
    """The work's result or failure; None when a stop signal came first, which cancels the work."""
    task, stopped = asyncio.create_task(work), asyncio.create_task(stopping.wait())
    await asyncio.wait([task, stopped], return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        stopped.cancel()
        return task.result()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return None


def open_sockets(state: State, environ: Mapping[str, str]) -> Sockets:
    """The public port is the one asked for, otherwise the remembered one, otherwise any free one."""
    wanted = environ.get("PORT")
    if wanted and not wanted.isdigit():
        raise Misconfigured(f"PORT has to be a number, not {wanted!r}.")
    public = int(wanted) if wanted else state.port("public")
    return Sockets(ports.listen(public), ports.listen(state.port("edge")), ports.listen(state.port("llm")))


def stop_on_signals() -> asyncio.Event:
    stopping = asyncio.Event()
    for number in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    return stopping
