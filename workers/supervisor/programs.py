"""The process table: what `up` runs besides the services, as data."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from workers.supervisor.environment import model_url
from workers.supervisor.probes import http_ok
from workers.supervisor.processes import Program
from workers.supervisor.state import ROOT

PYTHON = sys.executable
# Training takes minutes of a processor, and errands wait for other jobs; quick work does not wait behind either.
QUICK, SLOW, ERRANDS = "default,data,llm", "training", "errands"
# Running jobs are given back after a moment, which the supervisor waits for.
RUNNER_GRACE_S = 10.0
# Nothing stands in front of it, so a forwarded address would be whatever the client claims.
WEB = [
    *("-m", "uvicorn", "config.asgi:application", "--lifespan", "on", "--no-proxy-headers"),
    *("--no-server-header", "--no-access-log", "--timeout-graceful-shutdown", "2"),
]


@dataclass(frozen=True)
class Sockets:
    """The listening sockets that the supervisor holds, so that a restart refuses nobody."""

    public: socket.socket
    edge: socket.socket
    llm: socket.socket

    def close(self) -> None:
        for listener in (self.public, self.edge, self.llm):
            listener.close()


def port_of(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


def application_programs(variables: Mapping[str, str], sockets: Sockets) -> list[Program]:
    """Every process of the application; the model server only where `LLM_URL` names it."""
    env = {**os.environ, **variables, "SUPERVISOR_PID": str(os.getpid()), "PYTHONUNBUFFERED": "1"}

    def program(name: str, *arguments: str, is_deferred: bool = False) -> Program:
        return Program(name, [PYTHON, *arguments], env=env, cwd=ROOT, is_deferred=is_deferred)

    def server(program: Program, listener: socket.socket) -> Program:
        command = [*program.command, "--fd", str(listener.fileno())]
        return replace(program, command=command, sockets=[listener.fileno()], is_ready=http_ok(port_of(listener)))

    def runner(name: str, queues: str, *options: str) -> Program:
        started = program(name, "-m", "workers.runner", name, "--queues", queues, *options, is_deferred=True)
        return replace(started, grace_s=RUNNER_GRACE_S)

    # The rest works without the model, so nobody waits for it to load.
    model_server = replace(server(program("llm", "-m", "workers.llm", is_deferred=True), sockets.llm), is_ready=None)
    return [
        server(program("web", *WEB), sockets.public),
        server(program("edge", "-m", "workers.edge"), sockets.edge),
        program("scaler", "-m", "workers.scaler"),
        program("sink", "-m", "workers.sink"),
        program("worker", *worker("worker", "default,notify", at_once=2), is_deferred=True),
        program("errands", *worker("errands", ERRANDS, at_once=16, pool="threads"), is_deferred=True),
        runner("runner", QUICK, "--processes", "3", "--spare"),
        runner("trainer", SLOW, "--spare"),
        runner("waiter", ERRANDS, "--threads", "8"),
        program(
            "beat", *celery("beat", "--schedule", f"{variables['STATE_DIR']}/beat", "--pidfile="), is_deferred=True
        ),
        *([model_server] if variables["LLM_URL"] == model_url(port_of(sockets.llm)) else []),
    ]


def worker(name: str, queues: str, *, at_once: int, pool: str = "prefork") -> Sequence[str]:
    options = ["--hostname", f"{name}@%h", "-Q", queues, "--concurrency", str(at_once), "--pool", pool]
    return celery("worker", *options, "--without-gossip", "--without-mingle")


def celery(*arguments: str) -> Sequence[str]:
    return ["-m", "celery", "--quiet", "-A", "workers.celery", *arguments, "--loglevel", "INFO"]
