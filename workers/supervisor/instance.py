"""One supervisor for each state folder: who runs it, and what a killed one left behind."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from workers.supervisor.groups import Group, send
from workers.supervisor.state import State

GRACE_S = 3.0
STOP_S = 20.0
POLL_S = 0.05
REPLICA_COMMAND = "workers.replica"


class AlreadyRunning(Exception):
    def __init__(self, pid: object, url: object) -> None:
        super().__init__(f"Modelyard of this checkout is running already: process {pid}, {url}")


class Instance:
    """The right to run this state folder. A file lock holds it, so a killed holder gives it back at once."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._lock_file = state.run / "supervisor.lock"
        self._holder_file = state.run / "supervisor.json"
        self._lock: int | None = None

    def acquire(self) -> None:
        """Take the right; raise AlreadyRunning, naming the holder, while somebody has it."""
        lock = os.open(self._lock_file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            holder = self.holder()
            raise AlreadyRunning(holder.get("pid"), holder.get("url")) from None
        self._lock = lock
        self.announce("which is still starting")

    def announce(self, url: str) -> None:
        self._holder_file.write_text(json.dumps({"pid": os.getpid(), "url": url}))

    def release(self) -> None:
        self._holder_file.unlink(missing_ok=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def holder(self) -> dict[str, object]:
        try:
            return dict(json.loads(self._holder_file.read_text()))
        except (FileNotFoundError, ValueError):
            return {}

    def evict(self) -> None:
        """Stop whoever runs this state folder, and take the right."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._acquired_within(0):
                return
            pid = self.holder().get("pid")
            if isinstance(pid, int):
                send(pid, number)
            if self._acquired_within(STOP_S):
                return
        self.acquire()

    def stop_leftovers(self) -> None:
        """End what a killed supervisor left running."""
        groups = {path: Group.load(path) for path in self._state.run.glob("*.json") if path != self._holder_file}
        living = [group for group in groups.values() if group]
        for group in living:
            group.stop()
        wait_until(lambda: not any(group.members() for group in living), GRACE_S)
        for group in living:
            group.kill()
        for path in groups:
            path.unlink(missing_ok=True)
        self.stop_replicas()

    def stop_replicas(self) -> None:
        """End the scaler's replicas, which are sessions of their own so that they outlive a restart of the scaler."""
        pids = [pid for path in self._state.replicas.glob("*.json") if (pid := replica_pid(path))]
        for pid in pids:
            send(pid, signal.SIGTERM)
        wait_until(lambda: not any(is_replica(pid) for pid in pids), GRACE_S)
        for pid in filter(is_replica, pids):
            send(pid, signal.SIGKILL)
        for path in self._state.replicas.glob("*.json"):
            path.unlink(missing_ok=True)

    def _acquired_within(self, seconds: float) -> bool:
        return wait_until(self._try_acquire, seconds)

    def _try_acquire(self) -> bool:
        try:
            self.acquire()
        except AlreadyRunning:
            return False
        return True


def replica_pid(path: Path) -> int | None:
    """The living replica a pid file names; None when it ended and its number may be somebody else's by now."""
    try:
        pid = int(json.loads(path.read_text())["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return pid if is_replica(pid) else None


def is_replica(pid: int) -> bool:
    try:
        process = psutil.Process(pid)
        return REPLICA_COMMAND in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_S)
    return True
