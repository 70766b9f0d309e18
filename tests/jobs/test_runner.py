"""One process of the runner: what it does about the end of its parent, and about attempts that end in no known way."""

from __future__ import annotations

import os
from typing import Any

import pytest

from apps.core.actors import Actor
from apps.jobs import kinds, running, services
from apps.jobs.dispatch import Taker
from apps.jobs.keeping import Keeper
from apps.jobs.models import Job
from apps.jobs.running import RunningJob
from tests.working import claim_of, take
from workers.runner import child as runner
from workers.runner.parent import Role, Sign

KIND = "test.runner"


class Left(BaseException):
    """Stands for the end of the process."""


@pytest.fixture
def leave(monkeypatch: pytest.MonkeyPatch) -> None:
    def left(code: int) -> None:
        raise Left

    monkeypatch.setattr(runner.os, "_exit", left)


def child(parent: int, threads: int = 1) -> runner.Child:
    return runner.Child(Role("runner@host-1", ["default"], threads), Sign(), parent=parent)


def test_a_process_whose_parent_ended_before_it_began_ends_too(leave: None) -> None:
    """As when the parent is killed in the moment in which it forks."""
    with pytest.raises(Left):
        child(parent=os.getppid() + 1)._give_sign(0)


def test_a_slot_outlives_an_attempt_whose_end_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    served = child(parent=os.getppid(), threads=8)
    claims: list[Any] = [object(), object()]
    seen: list[Any] = []

    def execute(claim: Any, **_: Any) -> None:
        seen.append(claim)
        if len(seen) == 2:
            served._is_stopping = True
            return
        raise RuntimeError("whoever hears of its end fails")

    monkeypatch.setattr(runner, "LONGEST_WAIT_S", 0)
    monkeypatch.setattr(Taker, "claim", lambda taker: claims.pop() if claims else None)
    monkeypatch.setattr(running, "execute", execute)
    served._work()
    assert len(seen) == 2


@pytest.mark.django_db
@pytest.mark.parametrize("leaves", [True, False])
def test_only_a_process_whose_handler_stays_is_ended_by_force(
    in_acme: Any, actor: Actor, monkeypatch: pytest.MonkeyPatch, settings: Any, leaves: bool
) -> None:
    """A handler that leaves in the last moment may have taken the next job already."""
    settings.JOB_STOP_GRACE_SECONDS = 0
    kinds.kind(KIND)(lambda job: None)
    try:
        job: Job = services.submit_job(KIND, {}, by=actor, label="a job")
        assert take()
        services.cancel_job(job, by=actor)
        forced: list[bool] = []
        keeper = Keeper("worker-1", sign=lambda busy: None, force=lambda: forced.append(True))
        job.refresh_from_db()
        held = RunningJob(claim_of(job, 1))
        keeper.hold(held)
        end_by = held.end_by

        def leave_meanwhile(*args: Any, **kwargs: Any) -> None:
            end_by(*args, **kwargs)
            if leaves:
                keeper.release(held)

        monkeypatch.setattr(held, "end_by", leave_meanwhile)
        keeper.beat()  # it is asked to stop
        keeper.beat()
    finally:
        kinds._kinds.pop(KIND)
    job.refresh_from_db()
    assert (job.status, forced) == ("cancelled", [] if leaves else [True])
