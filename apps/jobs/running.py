"""Running one attempt of a job: every write is fenced by the attempt, and each way to end is written down once."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar

import structlog
from django.conf import settings
from django.db import DataError, InterfaceError, OperationalError, connection, transaction

from apps.core import live, tenancy
from apps.core.errors import DomainError
from apps.jobs import doorbell, kinds, services
from apps.jobs.announcing import announcements
from apps.jobs.dispatch import Claim, Taker
from apps.jobs.errors import JobCancelled, JobInterrupted, JobTimedOut, LeaseLost
from apps.jobs.keeping import Keeper
from apps.jobs.models import Job, JobLogLine
from apps.jobs.services import Failure

T = TypeVar("T")

log = structlog.get_logger(__name__)

MIN_SECONDS_BETWEEN_WRITES = 0.25
LONG_S = 1.0
AWAY_S = 0.2
INTERRUPTED = "Its worker was stopped; another one begins it anew"
FORCED = "It did not stop when it was asked to, so its process was ended"


class RunningJob:
    """What a handler sees of its job.

    `progress`, `log` and `commit` raise `JobCancelled`, `JobTimedOut`, `JobInterrupted` or `LeaseLost`, which the
    handler lets through.
    """

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.id = claim.job_id
        self.kind = claim.kind
        self.attempt = claim.attempt
        self.input = claim.input
        self.time_limit_s = claim.time_limit_s
        self.is_committed = False
        self.started = time.monotonic()
        self.stop: Exception | None = None
        self._last_write = 0.0
        self._last_step = ""

    def check(self) -> None:
        """Raise when the job should not go on."""
        if self.stop is None and self.is_over_time():
            self.stop = JobTimedOut(seconds=self.time_limit_s)
        if self.stop is not None:
            raise self.stop

    def is_over_time(self) -> bool:
        return time.monotonic() - self.started > self.time_limit_s

    def progress(self, share: float, step: str = "") -> None:
        """Tell how far the job is (0 to 1) and what it does now. Cheap enough to be called in a loop."""
        self.check()
        now = time.monotonic()
        if now - self._last_write < MIN_SECONDS_BETWEEN_WRITES and step == self._last_step:
            return
        self._last_write, self._last_step = now, step
        share = min(max(share, 0.0), 1.0)
        if not self.persist(lambda: services.write_progress(self.claim, share, step)):
            raise LeaseLost

    def log(self, text: str, level: str = "info", **fields: Any) -> None:
        self.check()
        line = text.replace("\x00", "")[:10_000]
        self.persist(
            lambda: JobLogLine.objects.create(
                job_id=self.id, attempt=self.attempt, level=level, text=line, fields=fields
            )
        )
        live.publish(f"job:{self.id}")

    @contextmanager
    def commit(self) -> Iterator[dict[str, Any]]:
        """Write the job's effect and its success in one transaction, which a stale attempt cannot enter.

        Yields the dict that becomes the job's result.
        """
        self.check()
        # The handler may have computed for an hour, and the connection may be gone since.
        self.persist(_reach_the_database)
        result: dict[str, Any] = {}
        with transaction.atomic():
            job = self.fenced()
            yield result
            services.succeed(job, result)
        self.is_committed = True

    def persist(self, write: Callable[[], T]) -> T:
        """Write; while the database is away, again and again for as long as the job may still be ours.

        Inside of a transaction nothing can be repeated.
        """
        until = time.monotonic() + settings.JOB_LEASE_SECONDS
        while True:
            try:
                return write()
            except (OperationalError, InterfaceError):
                is_over = isinstance(self.stop, LeaseLost) or time.monotonic() > until
                if connection.in_atomic_block or is_over:
                    raise
                connection.close()
                time.sleep(AWAY_S)

    def fenced(self) -> Job:
        """The job's row, locked, if this attempt still owns it."""
        job = self._owned()
        if job is None:
            raise LeaseLost
        if job.cancel_requested_at:
            raise JobCancelled
        return job

    def _owned(self) -> Job | None:
        row: Job | None = Job.objects.held_by(self.claim).select_for_update().first()
        return row

    def succeed(self, result: dict[str, Any] | None) -> None:
        """Write the success of a handler that left it to us."""
        with transaction.atomic():
            services.succeed(self.fenced(), result)

    def end(self, write: Callable[..., Job], *args: Any, **kwargs: Any) -> None:
        """Write the end of this attempt, unless it is no longer ours to write."""
        with transaction.atomic():
            job = self._owned()
            if job is not None:
                write(job, *args, **kwargs)

    def end_by(self, error: Exception, *, is_forced: bool = False) -> None:
        """Write down what `error` means for the job."""
        match error:
            case LeaseLost():
                log.warning("lease_lost", kind=self.kind)
            case JobCancelled():
                self.end(services.confirm_cancelled, *([FORCED] if is_forced else []))
            case JobInterrupted():
                self.end(services.hand_back, INTERRUPTED)
            case DomainError() if error.status != HTTPStatus.SERVICE_UNAVAILABLE:
                self.end(services.fail, failure_of(error))
            case _ if isinstance(error, kinds.get(self.kind).final):
                self.end(services.fail, failure_of(error))
            case _:
                after = timedelta(seconds=kinds.get(self.kind).backoff.delay_s(self.attempt))
                self.end(services.retry_later, failure_of(error), after=after)


def _reach_the_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def failure_of(error: Exception) -> Failure:
    """What an error tells: a refusal its own words, anything else its class and where it happened."""
    if isinstance(error, DomainError):
        return Failure.of(error)
    name = type(error).__name__
    text = "".join(traceback.format_exception(error))
    return Failure("unexpected", f"{name}: {error}".replace("\x00", ""), name, text.replace("\x00", ""))


def execute(
    claim: Claim, *, keeper: Keeper | None = None, taker: Taker | None = None, goes_on: Callable[[], bool] = bool
) -> Claim | None:
    """Run one claimed attempt to its end and write down how it ended. The next job, where one was taken with that."""
    if time.monotonic() - claim.taken_at > settings.JOB_LEASE_SECONDS:
        log.warning("lease_lost_before_start", job=str(claim.job_id), attempt=claim.attempt)
        return None
    if keeper and keeper.holds(claim.job_id):
        log.warning("attempt_goes_on", job=str(claim.job_id), attempt=claim.attempt)
        return None
    running = RunningJob(claim)
    _announce(claim)
    # The id of the request that submitted the job leads from the call to what its job logged.
    context = {"job": str(claim.job_id), "attempt": claim.attempt, "request_id": claim.request_id}
    with structlog.contextvars.bound_contextvars(organization=str(claim.organization_id), **context):
        if keeper:
            keeper.hold(running)
        try:
            return _run(running, taker, goes_on)
        finally:
            if keeper:
                keeper.release(running)
            else:
                announcements.flush()
            _log_end(running)


def _run(running: RunningJob, taker: Taker | None, goes_on: Callable[[], bool]) -> Claim | None:
    claim = running.claim
    with tenancy.scope(claim.organization_id):
        try:
            handler = kinds.ours(claim.kind).handler
            result = handler(running) if handler else None
            if running.is_committed:
                return None
            if not taker or kinds.receivers_of_end(claim.kind):
                running.persist(lambda: running.succeed(result))
                return None
        # Whatever a handler raises is the end of its attempt and not of the worker.
        except Exception as error:  # noqa: BLE001
            _log_unexpected(error, claim.kind)
            running.persist(partial(running.end_by, error))
            return None
    return _succeed_and_go_on(running, result, taker, goes_on)


def _succeed_and_go_on(
    running: RunningJob, result: dict[str, Any] | None, taker: Taker, goes_on: Callable[[], bool]
) -> Claim | None:
    try:
        done = running.persist(lambda: taker.succeed_and_claim(running.claim, result, go_on=goes_on()))
    except (TypeError, ValueError, DataError) as error:  # a result that is no JSON, or none that PostgreSQL holds
        _log_unexpected(error, running.kind)
        with tenancy.scope(running.claim.organization_id):
            running.persist(partial(running.end_by, error))
        return None
    if done is None:
        with tenancy.scope(running.claim.organization_id):
            running.persist(lambda: running.end_by(_refusal(running)))
        return None
    _announce(running.claim)
    doorbell.ring(*done.rung)
    return done.next


def _refusal(running: RunningJob) -> Exception:
    """Why an attempt may not be ended as a success."""
    try:
        with transaction.atomic():
            running.fenced()
    except (LeaseLost, JobCancelled) as error:
        return error
    return LeaseLost()


def _log_end(running: RunningJob) -> None:
    """The history tells of every attempt; the log does of those that took a while."""
    seconds = time.monotonic() - running.started
    write = log.info if seconds >= LONG_S else log.debug
    write("attempt_ended", kind=running.kind, duration_ms=round(seconds * 1000))


def _log_unexpected(error: Exception, kind: str) -> None:
    if not isinstance(error, (DomainError, LeaseLost, JobCancelled, JobInterrupted)):
        log.exception("attempt_failed", kind=kind)


def _announce(claim: Claim) -> None:
    announcements.add(claim.organization_id, f"job:{claim.job_id}", "jobs")
