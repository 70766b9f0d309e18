"""The parent: forks its children, starts those that die anew, ends those that hang, and passes on that all shall stop.

It opens no connection and starts no thread, so that what it forks is whole.
"""

from __future__ import annotations

import gc
import mmap
import os
import signal
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from django.conf import settings

log = structlog.get_logger(__name__)

LOOK_EVERY_S = 0.25
# A child that dies younger than this is started again a moment later, so that a broken one does not eat the machine.
YOUNG_S = 1.0
PAUSE_S = 1.0
# After its lease a child that gives no sign any more works in vain: its job is with another one.
SLACK_S = 4.0


@dataclass(frozen=True)
class Role:
    """What one child does."""

    name: str
    queues: Sequence[str]
    threads: int
    is_spare: bool = False


class Sign:
    """When a child was last alive, in memory that it shares with its parent."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 8)
        self.give()

    def give(self) -> None:
        struct.pack_into("d", self._memory, 0, time.monotonic())

    def age_s(self) -> float:
        return time.monotonic() - float(struct.unpack_from("d", self._memory)[0])


@dataclass
class Child:
    role: Role
    sign: Sign = field(default_factory=Sign)
    pid: int = 0
    died: int = 0
    started: float = 0.0
    not_before: float = 0.0

    def is_running(self) -> bool:
        return self.pid != 0


class Parent:
    def __init__(self, roles: Sequence[Role]) -> None:
        self._children = [Child(role) for role in roles]
        self._pid = os.getpid()
        self._is_stopping = False

    def run(self) -> None:
        """Until SIGTERM or SIGINT, and then until every child has ended."""
        # What every child shares is never looked through again, so that its pages stay shared.
        gc.collect()
        gc.freeze()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        while not self._is_stopping:
            for child in self._children:
                self._tend(child)
            self._pause()
        self._wait_for_all()

    def _tend(self, child: Child) -> None:
        if not child.is_running() and time.monotonic() >= child.not_before:
            self._fork(child)
        elif child.is_running() and child.sign.age_s() > settings.JOB_LEASE_SECONDS + SLACK_S:
            log.error("child_hangs", worker=child.role.name)
            os.kill(child.pid, signal.SIGKILL)

    def _fork(self, child: Child) -> None:
        child.sign.give()
        child.started = time.monotonic()
        # A signal between the fork and the child's own handlers would be lost.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        child.pid = os.fork()
        if child.pid == 0:
            self._become(child)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})

    def _become(self, child: Child) -> None:
        """Be the child, and never come back."""
        from workers.runner.child import serve

        code = 1
        try:
            serve(child.role, child.sign, parent=self._pid, died=child.died)
            code = 0
        except BaseException:
            log.exception("child_failed", worker=child.role.name)
        finally:
            os._exit(code)

    def _pause(self) -> None:
        """Take note of who ended, and wait a little."""
        time.sleep(LOOK_EVERY_S)
        self._reap()

    def _reap(self) -> None:
        for child in self._children:
            if child.is_running() and (ended := os.waitpid(child.pid, os.WNOHANG))[0]:
                self._note_end(child, ended[1])

    def _note_end(self, child: Child, status: int) -> None:
        if not self._is_stopping:
            log.warning("child_ended", worker=child.role.name, status=os.waitstatus_to_exitcode(status))
        now = time.monotonic()
        child.died, child.pid = child.pid, 0
        child.not_before = now + (PAUSE_S if now - child.started < YOUNG_S else 0)

    def _stop(self, number: int, frame: Any) -> None:
        self._is_stopping = True

    def _wait_for_all(self) -> None:
        """Children give their jobs back after the grace; whoever does not end then is ended."""
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + 2 * settings.JOB_SHUTDOWN_GRACE_SECONDS + SLACK_S
        while any(child.is_running() for child in self._children):
            if time.monotonic() > deadline:
                self._signal(signal.SIGKILL)
            time.sleep(0.02)
            self._reap()

    def _signal(self, number: int) -> None:
        for child in self._children:
            if child.is_running():
                os.kill(child.pid, number)
