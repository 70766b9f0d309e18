"""Running one attempt of a job: the lease is kept by a thread, every write is fenced by the attempt."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from datetime import timedelta
from http import HTTPStatus
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connections, transaction

from apps.core import live, tenancy
from apps.core.errors import DomainError
from apps.jobs import backoff, kinds, services
from apps.jobs.dispatch import Claim
from apps.jobs.enums import Status
from apps.jobs.errors import JobCancelled, JobTimedOut, LeaseLost
from apps.jobs.models import Job, JobLogLine

log = structlog.get_logger(__name__)

MIN_SECONDS_BETWEEN_WRITES = 0.25
# How long after its time limit a handler may go on without looking at its job before it is given up for lost.
OVERTIME_S = 60.0


class RunningJob:
    """What a handler sees of its job. `progress`, `log` and `commit` raise `JobCancelled` or `LeaseLost`."""

    def __init__(self, job: Job) -> None:
        self.id: UUID = job.pk
        self.kind = job.kind
        self.attempt = job.attempt
        self.input: dict[str, Any] = job.input
        self.time_limit_s = job.time_limit_s
        self.is_committed = False
        self.started = time.monotonic()
        self._cancelled = threading.Event()
        self._lost = threading.Event()
        self._last_write = 0.0
        self._last_step = ""

    def check(self) -> None:
        """Raise when the job should not go on."""
        if self._lost.is_set():
            raise LeaseLost
        if self._cancelled.is_set():
            raise JobCancelled
        if time.monotonic() - self.started > self.time_limit_s:
            raise JobTimedOut(seconds=self.time_limit_s)

    def progress(self, share: float, step: str = "") -> None:
        """Tell how far the job is (0 to 1) and what it does now. Cheap enough to be called in a loop."""
        self.check()
        now = time.monotonic()
        if now - self._last_write < MIN_SECONDS_BETWEEN_WRITES and step == self._last_step:
            return
        self._last_write, self._last_step = now, step
        if not services.write_progress(self.id, self.attempt, min(max(share, 0.0), 1.0), step):
            raise LeaseLost

    def log(self, text: str, level: str = "info", **fields: Any) -> None:
        self.check()
        line = text.replace("\x00", "")[:10_000]
        JobLogLine.objects.create(job_id=self.id, attempt=self.attempt, level=level, text=line, fields=fields)
        live.publish(f"job:{self.id}")

    @contextmanager
    def commit(self) -> Iterator[dict[str, Any]]:
        """Write the job's effect and its success in one transaction, which a stale attempt cannot enter.

        Yields the dict that becomes the job's result.
        """
        self.check()
        result: dict[str, Any] = {}
        with transaction.atomic():
            job = self.fenced()
            yield result
            services.succeed(job, result)
        self.is_committed = True

    def fenced(self) -> Job:
        """The job's row, locked, if this attempt still owns it."""
        job = Job.objects.select_for_update().filter(pk=self.id, attempt=self.attempt, status=Status.RUNNING).first()
        if job is None:
            raise LeaseLost
        if job.cancel_requested_at:
            raise JobCancelled
        return job

    def keep_lease(self, stop: threading.Event, organization_id: UUID) -> None:
        """Body of the heartbeat thread. It ends by itself when the handler hangs, so that the job does not with it."""
        deadline = time.monotonic() + settings.JOB_LEASE_SECONDS
        with tenancy.scope(organization_id):
            while not stop.wait(settings.JOB_HEARTBEAT_SECONDS):
                if time.monotonic() - self.started > self.time_limit_s + OVERTIME_S:
                    log.error("handler_hangs", kind=self.kind)
                    self._lost.set()
                    break
                try:
                    ours, cancelled = services.extend_lease(self.id, self.attempt, settings.JOB_LEASE_SECONDS)
                except (DatabaseError, InterfaceError):
                    connections.close_all()
                    if time.monotonic() < deadline:
                        continue
                    ours, cancelled = False, False
                deadline = time.monotonic() + settings.JOB_LEASE_SECONDS
                if cancelled:
                    self._cancelled.set()
                if not ours:
                    self._lost.set()
                    break
        connections.close_all()


def execute(claim: Claim) -> None:
    """Run one claimed attempt to its end and write down how it ended."""
    with tenancy.scope(claim.organization_id):
        job = Job.objects.filter(pk=claim.job_id, attempt=claim.attempt, status=Status.RUNNING).first()
        if job is None:
            log.warning("lease_lost_before_start", job=str(claim.job_id), attempt=claim.attempt)
            return
        live.publish(f"job:{job.pk}")
        live.publish("jobs")
        # The id of the request that submitted the job leads from the call to what its job logged.
        context = {"job": str(job.pk), "attempt": job.attempt, "request_id": job.request_id}
        with structlog.contextvars.bound_contextvars(organization=str(claim.organization_id), **context):
            _attempt(RunningJob(job), claim)


def _attempt(running: RunningJob, claim: Claim) -> None:
    log.info("attempt_started", kind=running.kind)
    stop = threading.Event()
    arguments = (running.keep_lease, stop, claim.organization_id)
    heartbeat = threading.Thread(target=copy_context().run, args=arguments, daemon=True)
    heartbeat.start()
    try:
        _run_handler(running)
    finally:
        stop.set()
        heartbeat.join(timeout=5)
        log.info("attempt_ended", kind=running.kind, duration_ms=round((time.monotonic() - running.started) * 1000))


def _run_handler(running: RunningJob) -> None:
    try:
        result = kinds.get(running.kind).handler(running)
        if not running.is_committed:
            with transaction.atomic():
                services.succeed(running.fenced(), result)
    except LeaseLost:
        log.warning("lease_lost", kind=running.kind)
    except JobCancelled:
        _end(running, services.confirm_cancelled)
    except DomainError as error:
        if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
            _retry(running, error.code, error.message)
        else:
            _end(running, services.fail, error.code, error.message)
    except Exception as error:
        log.exception("attempt_failed", kind=running.kind)
        _retry(running, "unexpected", f"{type(error).__name__}: {error}")


def _retry(running: RunningJob, code: str, message: str) -> None:
    after = timedelta(seconds=backoff.delay_seconds(running.attempt))
    _end(running, services.retry_later, code, message, after=after, traceback=traceback.format_exc())


def _end(running: RunningJob, write: Any, *args: Any, **kwargs: Any) -> None:
    """Write the end of this attempt, unless it is no longer ours to write."""
    with transaction.atomic():
        rows = Job.objects.select_for_update()
        job = rows.filter(pk=running.id, attempt=running.attempt, status=Status.RUNNING).first()
        if job is not None:
            write(job, *args, **kwargs)
