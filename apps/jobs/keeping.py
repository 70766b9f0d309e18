"""The thread beside the handlers: keeps their leases, asks them to stop, and says when one must be stopped by force."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import UUID

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connections

from apps.core import tenancy
from apps.jobs import dispatch
from apps.jobs.announcing import announcements
from apps.jobs.errors import JobCancelled, JobInterrupted, JobTimedOut, LeaseLost

if TYPE_CHECKING:
    from apps.jobs.running import RunningJob

log = structlog.get_logger(__name__)

TELL_SECONDS = 0.1


class Held:
    """A running job, until when its lease is known to be kept, and since when it is asked to stop."""

    def __init__(self, running: RunningJob) -> None:
        self.running = running
        self.kept_until = running.started + settings.JOB_LEASE_SECONDS
        self.asked_at: float | None = None

    def ask(self, why: Exception) -> None:
        """Ask the handler to stop; that its lease was lost outweighs any other reason."""
        if self.asked_at is None:
            self.asked_at = time.monotonic()
        if self.running.stop is None or isinstance(why, LeaseLost):
            self.running.stop = why

    def outstays(self, grace_s: float) -> bool:
        return self.asked_at is not None and time.monotonic() - self.asked_at > grace_s


class Keeper(threading.Thread):
    """`sign` tells that the process lives; `force` ends the process that a handler does not leave."""

    def __init__(self, worker: str, *, sign: Callable[[int], None], force: Callable[[], None]) -> None:
        super().__init__(name="keeper", daemon=True)
        self._worker = worker
        self._sign, self._force = sign, force
        self._lock = threading.Lock()
        self._held: dict[UUID, Held] = {}
        self._interrupted_at: float | None = None
        self._ends = threading.Event()

    def hold(self, running: RunningJob) -> None:
        with self._lock:
            self._held[running.id] = Held(running)

    def holds(self, job_id: UUID) -> bool:
        """Whether this process is at that job already, because its claim got lost in a crash of the database."""
        return job_id in self._held

    def release(self, running: RunningJob) -> bool:
        """Whether its handler had not left it yet."""
        with self._lock:
            return self._held.pop(running.id, None) is not None

    def is_busy(self) -> bool:
        return bool(self._held)

    def interrupt(self) -> None:
        """The process is being stopped: jobs that do not end by themselves are given back after the grace.

        Called by a signal's handler, so it takes no lock.
        """
        self._interrupted_at = time.monotonic()

    def end(self) -> None:
        """Tell what is left to tell, and stop."""
        self._ends.set()
        announcements.waiting.set()
        self.join(timeout=5)

    def run(self) -> None:
        next_beat = 0.0
        while not self._ends.is_set():
            if time.monotonic() >= next_beat:
                next_beat = time.monotonic() + self._pause()
                self.beat()
            announcements.waiting.wait(next_beat - time.monotonic())
            if announcements.waiting.is_set():
                self._ends.wait(TELL_SECONDS)
                announcements.flush()
        announcements.flush()
        connections.close_all()

    def _pause(self) -> float:
        return 0.2 if self._interrupted_at is not None else settings.JOB_HEARTBEAT_SECONDS

    def beat(self) -> None:
        """Keep the leases, ask whoever has to stop, and stop by force whoever was asked in vain."""
        with self._lock:
            held = dict(self._held)
        self._sign(len(held))
        self._keep_leases(held)
        self._ask(held)
        outstaying = [one for one in held.values() if one.outstays(self._grace_s()) and one.running.id in self._held]
        are_ended = [self._end_by_force(one.running) for one in outstaying]
        if not (are_ended and all(are_ended)):
            return
        announcements.flush()
        # Whoever left in the meantime may have begun the next job, which must not suffer from it.
        were_held = [self.release(one.running) for one in outstaying]
        if any(were_held):
            self._force()

    def _grace_s(self) -> float:
        """How long a handler may go on that was asked to stop. Whoever stops the process does not wait for long."""
        is_interrupted = self._interrupted_at is not None
        return settings.JOB_SHUTDOWN_GRACE_SECONDS if is_interrupted else settings.JOB_STOP_GRACE_SECONDS

    def _keep_leases(self, held: dict[UUID, Held]) -> None:
        if not held:
            return
        asked_at = time.monotonic()
        try:
            ours = dispatch.beat(self._worker, {one.running.id: one.running.attempt for one in held.values()})
        except (DatabaseError, InterfaceError):
            connections.close_all()
            ours = {key: False for key, one in held.items() if time.monotonic() < one.kept_until}
        else:
            for key in ours:
                held[key].kept_until = asked_at + settings.JOB_LEASE_SECONDS
        for key, one in held.items():
            if key not in ours:
                one.ask(LeaseLost())
            elif ours[key]:
                one.ask(JobCancelled())

    def _ask(self, held: dict[UUID, Held]) -> None:
        is_interrupted = self._interrupted_at is not None and (
            time.monotonic() - self._interrupted_at > settings.JOB_SHUTDOWN_GRACE_SECONDS
        )
        for one in held.values():
            if one.running.is_over_time():
                one.ask(JobTimedOut(seconds=one.running.time_limit_s))
            elif is_interrupted:
                one.ask(JobInterrupted())

    def _end_by_force(self, running: RunningJob) -> bool:
        """Write down the end of a job whose handler does not leave it; False when the database is away."""
        log.error("stopped_by_force", kind=running.kind, job=str(running.id), why=type(running.stop).__name__)
        try:
            with tenancy.scope(running.claim.organization_id):
                running.end_by(running.stop or LeaseLost(), is_forced=True)
        except (DatabaseError, InterfaceError):
            connections.close_all()
            return False
        # Nobody may be kept from ending a process by what hears of the job's end.
        except Exception:
            log.exception("end_not_written", job=str(running.id))
        return True
