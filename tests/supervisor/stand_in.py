"""A small installation for tests: real services, and a web process that only says who it is."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from workers.supervisor.environment import Installation
from workers.supervisor.probes import http_ok
from workers.supervisor.processes import Program
from workers.supervisor.programs import Sockets, port_of
from workers.supervisor.provision import provision
from workers.supervisor.state import State
from workers.supervisor.up import Plan, up


class SaysItsPid(BaseHTTPRequestHandler):
    """And tells the person what it is sent."""

    def do_POST(self) -> None:
        os.write(int(os.environ["TERMINAL_FD"]), self.rfile.read(int(self.headers["Content-Length"])))
        self.do_GET()

    def do_GET(self) -> None:
        body = str(os.getpid()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve(descriptor: int) -> None:
    server = HTTPServer(("127.0.0.1", 0), SaysItsPid, bind_and_activate=False)
    server.socket = socket.socket(fileno=descriptor)
    server.serve_forever()


def web(listener: socket.socket, name: str = "web") -> Program:
    command = [sys.executable, "-m", "tests.supervisor.stand_in", "serve", str(listener.fileno())]
    return Program(name, command, sockets=[listener.fileno()], is_ready=http_ok(port_of(listener)))


def programs(variables: Mapping[str, str], sockets: Sockets) -> list[Program]:
    return [web(sockets.public), web(sockets.edge, "edge")]


async def provision_only(installation: Installation) -> None:
    await asyncio.to_thread(provision, installation.admin_url, installation.roles)


async def no_sample(installation: Installation) -> None:
    """The real one needs the application."""


if __name__ == "__main__":
    command, argument = sys.argv[1:]
    if command == "serve":
        serve(int(argument))
    else:
        state = State(Path(argument) / "state", Path(argument) / "services")
        sys.exit(up(state, os.environ, Plan(programs, provision_only, no_sample)))
