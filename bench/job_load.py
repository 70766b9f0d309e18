"""`python -m bench.job_load FILE`: inside of private services, the same empty work as jobs and as bare Celery tasks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import quantiles
from typing import Any

import django
import psutil

from bench import bare_tasks, job_kinds, job_reports
from workers.supervisor import programs
from workers.supervisor.state import ROOT

ROUNDS = 3
BACKLOG = 3000
SINGLES = 200
PROCESSES = 2
Figures = dict[str, float]


def main() -> None:
    subprocess.run([sys.executable, "manage.py", "migrate", "--database", "owner", "-v", "0"], cwd=ROOT, check=True)
    django.setup()
    ours, bare = Ours(), Bare()
    rounds = []
    for number in range(ROUNDS):
        sides: list[Any] = [ours, bare] if number % 2 else [bare, ours]
        rounds.append({side.name: measured(side) for side in sides})
    Path(sys.argv[1]).write_text(json.dumps(rounds))


def measured(side: Any) -> Figures:
    """Submit a backlog while nobody works, have it done, then submit one at a time to workers that wait."""
    began = time.monotonic()
    waiting = [side.submit() for _ in range(BACKLOG)]
    figures = {"submit_per_s": BACKLOG / (time.monotonic() - began)}
    with side.workers() as cpu_s:
        before, began = cpu_s(), time.time()
        side.wait_until_done(waiting)
        first, last = side.span(began)
        figures |= {
            "complete_per_s": BACKLOG / (last - first),
            "cpu_ms": (cpu_s() - before) * 1000 / BACKLOG,
            **idle(side),
        }
    side.clear()
    return figures


def idle(side: Any) -> Figures:
    """From before the call that submits until the work begins, in milliseconds."""
    delays = []
    for _ in range(SINGLES):
        submitted_at = time.time()
        side.submit(reports=True)
        delays.append((job_reports.wait() - submitted_at) * 1000)
        time.sleep(0.01)
    parts = quantiles(delays[20:], n=20)
    return {"idle_p50_ms": parts[9], "idle_p95_ms": parts[18]}


class Ours:
    """Jobs: PostgreSQL, the bell, our runner, and the sweeper that tells of their ends."""

    name = "ours"

    def __init__(self) -> None:
        from apps.accounts.models import User
        from apps.organizations.services import create_organization

        self.organization = create_organization("bench", User.objects.create_user("bench@example.test"))

    def submit(self, *, reports: bool = False) -> Any:
        from apps.core import tenancy
        from apps.core.actors import SYSTEM
        from apps.jobs import services

        with tenancy.scope(self.organization.pk):
            return services.submit_job(job_kinds.NAME, {"reports": reports}, by=SYSTEM, label="bench").pk

    @contextmanager
    def workers(self) -> Iterator[Callable[[], float]]:
        runner = ["-m", "workers.runner", "bench", "--queues", "default", "--processes", str(PROCESSES), "--spare"]
        with running(
            runner, programs.celery("beat", "--schedule", os.environ["STATE_DIR"] + "/beat", "--pidfile=")
        ) as own:
            yield lambda: cpu_of(own) + cpu_of(services("postgres", "valkey"))

    def wait_until_done(self, waiting: list[Any]) -> None:
        from apps.core import tenancy
        from apps.jobs.models import Job

        with tenancy.scope(self.organization.pk):
            until(lambda: not Job.objects.filter(told_at__isnull=True).exists(), every_s=0.2)

    def span(self, since: float) -> tuple[float, float]:
        from django.db.models import Max, Min

        from apps.core import tenancy
        from apps.jobs.models import Job

        with tenancy.scope(self.organization.pk):
            ends = Job.objects.aggregate(first=Min("started_at"), last=Max("finished_at"))
        return ends["first"].timestamp(), ends["last"].timestamp()

    def clear(self) -> None:
        from apps.core import tenancy
        from apps.jobs.models import Job, JobTransition

        with tenancy.scope(self.organization.pk):
            JobTransition.objects.all()._raw_delete("default")
            Job.objects.all()._raw_delete("default")


class Bare:
    """Celery as it comes: one broker, the results kept, as many processes as ours."""

    name = "celery"

    def submit(self, *, reports: bool = False) -> Any:
        return bare_tasks.do_nothing.delay(reports)

    @contextmanager
    def workers(self) -> Iterator[Callable[[], float]]:
        worker = ["-m", "celery", "-A", "bench.bare_tasks:app", "worker", "--concurrency", str(PROCESSES)]
        with running([*worker, "--loglevel", "WARNING", "--without-gossip", "--without-mingle"]) as own:
            yield lambda: cpu_of(own) + cpu_of(services("valkey"))

    def wait_until_done(self, waiting: list[Any]) -> None:
        moments = [float(one.get(timeout=300)["began"]) for one in waiting]
        self._span = min(moments), max(moments)

    def span(self, since: float) -> tuple[float, float]:
        return self._span

    def clear(self) -> None:
        bare_tasks.app.control.purge()


@contextmanager
def running(*commands: Any) -> Iterator[list[psutil.Process]]:
    with ExitStack() as stack:
        processes = []
        for command in commands:
            process = subprocess.Popen(
                [sys.executable, *command], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
            processes.append(psutil.Process(process.pid))
        yield processes


def services(*names: str) -> list[psutil.Process]:
    """The private services' processes: they are our parent's children."""
    beside = psutil.Process(os.getppid()).children()
    return [process for process in beside if any(name in process.name() for name in names)]


def cpu_of(processes: list[psutil.Process]) -> float:
    """Seconds of processor time of these and of all that they started, the ended ones too."""
    total = 0.0
    for process in processes:
        for one in (process, *process.children(recursive=True)):
            spent = one.cpu_times()
            total += spent.user + spent.system
        spent = process.cpu_times()
        total += spent.children_user + spent.children_system
    return total


def until(found: Callable[[], Any], *, every_s: float, seconds: float = 300) -> Any:
    deadline = time.monotonic() + seconds
    while not (answer := found()):
        assert time.monotonic() < deadline, "nothing moves"
        time.sleep(every_s)
    return answer


if __name__ == "__main__":
    main()
