"""One process that runs jobs: takes the next one, runs it, and waits for the bell when there is none."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from typing import Any

import redis
import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connections

from apps.core import tenancy
from apps.core.heartbeats import Heartbeat
from apps.jobs import dispatch, running
from apps.jobs.dispatch import Claim, Taker
from apps.jobs.doorbell import LONGEST_WAIT_S, Bell
from apps.jobs.keeping import Keeper
from workers.runner.parent import Role, Sign

log = structlog.get_logger(__name__)

STOPPED_BY_FORCE = 75


class Stopped(BaseException):
    """Leaves the wait for work at once."""


class Child:
    def __init__(self, role: Role, sign: Sign, *, parent: int, died: int = 0) -> None:
        self.role, self.sign = role, sign
        self.name = f"{role.name}:{os.getpid()}"
        self._died = f"{role.name}:{died}" if died else ""
        self.keeper = Keeper(self.name, sign=self._give_sign, force=self._leave_by_force)
        self.heartbeat = Heartbeat(
            redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1), "runner"
        )
        self._parent = parent
        # A flag, because a signal's handler must take no lock that the code it interrupts may hold.
        self._is_stopping = False
        self._is_waiting = False

    def serve(self) -> None:
        self._listen_to_signals()
        self._tell_of_the_dead()
        self.keeper.start()
        if self.role.threads == 1:
            self._work()
        else:
            threads = [threading.Thread(target=self._work, daemon=True) for _ in range(self.role.threads)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.keeper.end()
        dispatch.sign_off(self.name)

    def _tell_of_the_dead(self) -> None:
        """What this process follows died with its jobs, which need not wait until their leases end."""
        if self._died:
            with suppress(DatabaseError, InterfaceError):
                dispatch.lose(self._died)

    def goes_on(self) -> bool:
        return not self._is_stopping

    def _work(self) -> None:
        taker = Taker(self.role.queues, self.name, only_idle=self.role.is_spare)
        bell = Bell(self.role.queues)
        while self.goes_on():
            try:
                claim = taker.claim()
                while claim:
                    claim = self._run(claim, taker)
                self._wait(bell)
            except (DatabaseError, InterfaceError) as error:
                log.warning("database_away", error=str(error))
                connections.close_all()
                time.sleep(LONGEST_WAIT_S)
            # A slot must not end with an attempt whose end nobody could write; its lease ends by itself.
            except Exception:
                log.exception("attempt_left", worker=self.name)
                time.sleep(LONGEST_WAIT_S)

    def _run(self, claim: Claim, taker: Taker) -> Claim | None:
        following = running.execute(claim, keeper=self.keeper, taker=taker, goes_on=self.goes_on)
        if following or not self.goes_on():
            return following
        return taker.claim()

    def _wait(self, bell: Bell) -> None:
        """Until there may be work, or the process shall stop."""
        self._is_waiting = True
        try:
            # Others are woken for the same work; the spare one looks by itself.
            if self.goes_on() and (self.role.is_spare or not bell.wait()):
                time.sleep(LONGEST_WAIT_S / 2)
        except Stopped:
            pass
        finally:
            self._is_waiting = False

    def _listen_to_signals(self) -> None:
        # The terminal's Ctrl-C reaches the whole group; the parent says when to stop.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._stop)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})

    def _stop(self, number: int, frame: Any) -> None:
        self._is_stopping = True
        self.keeper.interrupt()
        if self._is_waiting and self.role.threads == 1:
            raise Stopped

    def _give_sign(self, busy: int) -> None:
        self.sign.give()
        self.heartbeat.beat()
        if os.getppid() != self._parent:
            log.error("orphaned", worker=self.name)
            os._exit(STOPPED_BY_FORCE)
        try:
            dispatch.sign_on(self.name, self.role.queues, self.role.threads, busy)
        except (DatabaseError, InterfaceError):
            connections.close_all()

    def _leave_by_force(self) -> None:
        """End the process. Where it runs several jobs and shall go on, only the slot is lost until its handler ends."""
        if self.role.threads == 1 or (self._is_stopping and not self.keeper.is_busy()):
            os._exit(STOPPED_BY_FORCE)


def serve(role: Role, sign: Sign, *, parent: int, died: int) -> None:
    """Run jobs until SIGTERM or the end of `parent`, in place of the process `died` if it is not 0."""
    with tenancy.no_scope():
        Child(role, sign, parent=parent, died=died).serve()
