"""Where drills take place: services of their own, and the installation's programs, which a supervisor keeps running."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import psycopg
import redis
from anyio.from_thread import BlockingPortal

from workers.supervisor.environment import DATABASE
from workers.supervisor.processes import Program, Supervisor, run_to_end
from workers.supervisor.programs import application_programs
from workers.supervisor.provision import at_database
from workers.supervisor.state import ROOT, State
from workers.supervisor.up import open_sockets

POLL_S = 0.05
PATIENCE_S = 120.0
SUMS = ["usage_usagesum", "usage_usageday"]
TABLES = ["jobs_job", "jobs_worker", "usage_usageevent", *SUMS, "notifications_webhookmessage"]
# Short where a drill is not about the defaults.
QUICK = {"JOB_LEASE_SECONDS": "3", "JOB_STOP_GRACE_SECONDS": "1", "JOB_SHUTDOWN_GRACE_SECONDS": "1"}


class Ground:
    def __init__(self, portal: BlockingPortal, variables: Mapping[str, str]) -> None:
        self.portal = portal
        self.variables = {
            **variables,
            "DJANGO_SETTINGS_MODULE": "config.settings.development",
            "JOB_KIND_MODULES": "tests.drills.kinds",
        }
        folder = Path(variables["STATE_DIR"])
        self.folder = folder
        self.state = State(folder, folder.parent / "services")
        self.sockets = open_sockets(self.state, {})
        self.redis = redis.Redis.from_url(variables["REDIS_URL"])
        self._desk: Desk | None = None

    def prepare(self) -> None:
        command = [sys.executable, "manage.py", "migrate", "--database", "owner", "--verbosity", "0", "--skip-checks"]
        assert self.portal.call(run_to_end, command, {**os.environ, **self.variables}) == 0

    def forget(self) -> None:
        """Empty what a drill is about."""
        self.execute(f"SET session_replication_role = 'replica'; TRUNCATE {', '.join(TABLES)} CASCADE")
        self.redis.flushall()

    def close(self) -> None:
        if self._desk:
            self._desk.close()
        self.sockets.close()

    @property
    def desk(self) -> Desk:
        self._desk = self._desk or Desk({**os.environ, **self.variables})
        return self._desk

    def program(self, name: str, *more: str, called: str = "", **environ: str) -> Program:
        """One of the installation's programs, with these arguments and variables besides its own."""
        programs = {one.name: one for one in application_programs({**self.variables, **environ}, self.sockets)}
        chosen = programs[name]
        return replace(chosen, name=called or name, command=[*chosen.command, *more])

    def beat(self, called: str = "beat", **environ: str) -> Program:
        return self.program("beat", "--schedule", f"{self.folder}/{called}", called=called, **environ)

    def organization(self) -> Organization:
        return Organization(self, **self.desk.call("organization", name=f"drill-{secrets.token_hex(4)}"))

    @contextmanager
    def running(self, *programs: Program) -> Iterator[Running]:
        """These programs are kept running; runners among them wait for work when this begins."""
        supervisor = Supervisor(self.state.logs, self.state.run)
        running = Running(self, supervisor)
        try:
            self.portal.call(supervisor.start, programs)
            runners = [program.name for program in programs if "workers.runner" in program.command]
            self.until(lambda: all(map(running.is_working, runners)), "Not every runner works")
            yield running
        finally:
            for child in running.trees():
                with suppress(psutil.NoSuchProcess):
                    child.send_signal(signal.SIGCONT)
            self.portal.call(supervisor.stop)

    def connected(self) -> psycopg.Connection:
        """To the database past every policy; commits at the end of its block."""
        return psycopg.connect(at_database(self.variables["DATABASE_ADMIN_URL"], DATABASE), connect_timeout=2)

    def execute(self, statement: str, arguments: Any = None) -> Any:
        with self.connected() as connection:
            done = connection.execute(statement, arguments)
            return done.fetchall() if done.description else None

    def rows(self, query: str, arguments: Any = None) -> list[Any]:
        return list(self.execute(query, arguments))

    def value(self, query: str, arguments: Any = None) -> Any:
        return self.rows(query, arguments)[0][0]

    def until(self, condition: Callable[[], Any], reason: str, seconds: float = PATIENCE_S) -> Any:
        """The first true answer; a database that is away has none."""
        deadline = time.monotonic() + seconds
        while True:
            with suppress(psycopg.OperationalError):
                if answer := condition():
                    return answer
            assert time.monotonic() < deadline, f"{reason} within {seconds:.0f} s: {self.summary()}"
            time.sleep(POLL_S)

    def log(self, name: str) -> str:
        return (self.state.logs / f"{name}.log").read_text()

    def summary(self) -> str:
        counts = "SELECT kind, status, worker, attempt, error_code, count(*) FROM jobs_job GROUP BY 1, 2, 3, 4, 5"
        return "\n".join(map(str, self.rows(counts)))

    def service(self, name: str) -> psutil.Process:
        """PostgreSQL or Valkey, by its pid file."""
        return psutil.Process(json.loads((self.state.run / f"{name}.json").read_text())["pid"])

    def restart(self, name: str, number: int = signal.SIGKILL) -> None:
        """End a service with this signal and wait until its supervisor has it running again."""
        ended = self.service(name)
        ended.send_signal(number)
        self.until(lambda: not ended.is_running(), f"{name} did not end")
        self.until(self._is_answering, f"{name} did not come back")

    def _is_answering(self) -> bool:
        with suppress(redis.RedisError):
            return bool(self.rows("SELECT 1") and self.redis.ping())
        return False


@dataclass(frozen=True)
class Organization:
    """Whose jobs a drill is about."""

    ground: Ground
    id: str
    token: str

    def submit(self, *jobs: dict[str, Any]) -> list[str]:
        return self._call("submit", asked=jobs)

    def pile(self, kind: str, count: int) -> list[str]:
        return self._call("pile", kind=kind, count=count)

    def cancel(self, *jobs: str) -> None:
        self._call("cancel", meant=jobs)

    def _call(self, name: str, **arguments: Any) -> Any:
        return self.ground.desk.call(name, organization=self.id, **arguments)


class Running:
    """Programs of a drill and their processes."""

    def __init__(self, ground: Ground, supervisor: Supervisor) -> None:
        self.ground, self._supervisor = ground, supervisor

    def process(self, name: str) -> psutil.Process:
        return psutil.Process(self._supervisor.pids()[name])

    def tree(self, name: str) -> list[psutil.Process]:
        parent = self.process(name)
        return [parent, *parent.children(recursive=True)]

    def trees(self) -> list[psutil.Process]:
        found: list[psutil.Process] = []
        for name in self._supervisor.pids():
            with suppress(psutil.NoSuchProcess):
                found += self.tree(name)
        return found

    def signal_tree(self, name: str, number: int) -> None:
        for process in self.tree(name):
            process.send_signal(number)

    def is_working(self, name: str) -> bool:
        """Whether each of a runner's children has told that it lives."""
        known = {row[0].rpartition(":")[2] for row in self.ground.rows("SELECT name FROM jobs_worker")}
        with suppress(psutil.NoSuchProcess, KeyError):
            pids = [str(child.pid) for child in self.process(name).children()]
            return bool(pids) and known.issuperset(pids)
        return False

    def process_of(self, worker: str) -> psutil.Process:
        """The process behind a worker's name."""
        return psutil.Process(int(worker.rpartition(":")[2]))

    def is_alive(self, worker: str) -> bool:
        return psutil.pid_exists(int(worker.rpartition(":")[2]))


class Desk:
    """Submits, in a process of its own."""

    def __init__(self, env: Mapping[str, str]) -> None:
        command = [sys.executable, "-m", "tests.drills.desk"]
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )

    def call(self, name: str, /, **arguments: Any) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([name, arguments]) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the desk ended"
        return json.loads(answer)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
