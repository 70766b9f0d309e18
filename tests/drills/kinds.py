"""Kinds of jobs for drills: some do what a job may do wrong, some have their worker killed at an exact point."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path
from typing import Any, NoReturn

from django.db.models.functions import Now

from apps.jobs.backoff import Backoff
from apps.jobs.kinds import kind
from apps.jobs.running import RunningJob
from apps.usage.models import UsageEvent
from tests.drills import killing
from tests.drills.names import METER, OUTSIDE

SOON = Backoff(base_s=0.1, cap_s=0.5)
STEP_S = 0.02

killing.arm()


class Useless(Exception):
    """Trying again would not help."""


def die() -> NoReturn:
    """As after `kill -9`: nothing is tidied up."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise SystemExit


def leave_effect(job: RunningJob, **dimensions: Any) -> None:
    UsageEvent.objects.create(
        meter=METER,
        quantity=1,
        occurred_at=Now(),
        dimensions={"job": str(job.id), "attempt": job.attempt, **dimensions},
    )


def seconds_of(job: RunningJob) -> float:
    """What the first attempt takes, and what a later one does, if that is told."""
    first = job.input["seconds"]
    return float(first if job.attempt == 1 else job.input.get("then", first))


def finish(job: RunningJob) -> None:
    with job.commit() as result:
        leave_effect(job)
        result["attempt"] = job.attempt


@kind("drill.plain", is_open=True, backoff=SOON)
def plain(job: RunningJob) -> dict[str, Any]:
    return {"attempt": job.attempt}


@kind("drill.sleep", is_open=True, backoff=SOON)
def sleep(job: RunningJob) -> None:
    """Take `seconds` and stop when asked to."""
    end = time.monotonic() + seconds_of(job)
    while time.monotonic() < end:
        job.progress(0.5, "asleep")
        time.sleep(STEP_S)
    finish(job)


@kind("drill.deaf", is_open=True, backoff=SOON)
def deaf(job: RunningJob) -> None:
    """Take `seconds`, whatever anybody asks."""
    time.sleep(seconds_of(job))
    finish(job)


@kind("drill.gil", is_open=True, backoff=SOON)
def hold_the_interpreter(job: RunningJob) -> None:
    """Take `seconds` and let no other thread of the process run meanwhile."""
    ctypes.PyDLL(None).sleep(job.input["seconds"])


@kind("drill.flaky", is_open=True, backoff=SOON)
def flaky(job: RunningJob) -> None:
    """Fail but for the attempt `succeeds_at`."""
    if job.attempt < job.input["succeeds_at"]:
        raise ConnectionError("not this time")
    finish(job)


@kind("drill.useless", is_open=True, final=(Useless,))
def useless(job: RunningJob) -> None:
    raise Useless("never")


@kind("drill.segfault", is_open=True, backoff=SOON)
def segfault(job: RunningJob) -> None:
    ctypes.string_at(0)


@kind("drill.killed", is_open=True, backoff=SOON)
def killed(job: RunningJob) -> None:
    """Die in the first attempt: `before` the effect, `inside` its transaction, or `after` it."""
    point = job.input["point"] if job.attempt == 1 else ""
    if point == "before":
        die()
    with job.commit():
        leave_effect(job)
        if point == "inside":
            die()
    if point == "after":
        die()


@kind(OUTSIDE, is_open=True, backoff=SOON)
def effect_outside(job: RunningJob) -> None:
    """Have an effect that no transaction covers: under the job's id it is had once, however often it is asked for."""
    place = Path(job.input["folder"]) / str(job.id)
    with (place.parent / "asked").open("a") as asked:
        asked.write(f"{job.id}\n")
    if not place.exists():
        place.write_text(str(job.attempt))
    if job.attempt == 1:
        die()
