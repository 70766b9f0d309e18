"""The process table: what `up` runs besides the services, as data."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workers.supervisor.probes import http_ok
from workers.supervisor.processes import Program
from workers.supervisor.state import ROOT

PYTHON = sys.executable
QUEUES = "default,data,training,llm,notify"


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
    """Every process of the application; `LLM_URL` set to nothing leaves the model server out."""
    env = {**os.environ, **variables, "SUPERVISOR_PID": str(os.getpid()), "PYTHONUNBUFFERED": "1"}

    def program(name: str, *arguments: str, listener: socket.socket | None = None) -> Program:
        return Program(
            name,
            [PYTHON, *arguments],
            env=env,
            cwd=ROOT,
            sockets=[listener.fileno()] if listener else [],
            is_ready=http_ok(port_of(listener)) if listener else None,
        )

    return [
        program("web", *web_arguments(sockets.public), listener=sockets.public),
        program("edge", "-m", "workers.edge", "--fd", str(sockets.edge.fileno()), listener=sockets.edge),
        program(
            "worker", *celery("worker", "-Q", QUEUES, "--concurrency", "2", "--without-gossip", "--without-mingle")
        ),
        program("beat", *celery("beat", "--schedule", f"{variables['STATE_DIR']}/beat", "--pidfile=")),
        program("sink", "-m", "workers.sink"),
        program("scaler", "-m", "workers.scaler"),
        *([program("llm", "-m", "workers.llm", "--fd", str(sockets.llm.fileno()))] if variables["LLM_URL"] else []),
    ]


def web_arguments(listener: socket.socket) -> Sequence[str]:
    # Nothing stands in front of it, so a forwarded address would be whatever the client claims.
    options = "--lifespan on --no-proxy-headers --no-server-header --no-access-log --timeout-graceful-shutdown 2"
    return ["-m", "uvicorn", "config.asgi:application", "--fd", str(listener.fileno()), *options.split()]


def celery(*arguments: str) -> Sequence[str]:
    return ["-m", "celery", "-A", "workers.celery", *arguments, "--loglevel", "INFO"]
