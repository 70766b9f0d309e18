"""Process groups: every program leads one, so that nothing it started outlives it."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

# A process' start time is computed from the boot time, which moves when the clock is set.
CLOCK_TOLERANCE_S = 2.0


@dataclass(frozen=True)
class Group:
    """A program's process group, remembered in a file so that a later supervisor finds it again."""

    pid: int
    started_at: float
    stop_signal: int = signal.SIGTERM

    @classmethod
    def led_by(cls, pid: int, stop_signal: int = signal.SIGTERM) -> Group:
        try:
            return cls(pid, psutil.Process(pid).create_time(), stop_signal)
        except psutil.NoSuchProcess:
            return cls(pid, time.time(), stop_signal)

    @classmethod
    def load(cls, path: Path) -> Group | None:
        """What the file remembers; None when it is gone or was cut short by a crash."""
        try:
            return cls(**json.loads(path.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))

    def members(self) -> list[psutil.Process]:
        """The group's living processes; none when its number was given to somebody else since."""
        if self._number_was_reused():
            return []
        return [process for process in psutil.process_iter() if self._owns(process)]

    def stop(self) -> None:
        """Ask the leader to end."""
        if any(process.pid == self.pid for process in self.members()):
            send(self.pid, self.stop_signal)

    def kill(self) -> None:
        for process in self.members():
            send(process.pid, signal.SIGKILL)

    def _number_was_reused(self) -> bool:
        with suppress(psutil.NoSuchProcess):
            return bool(abs(psutil.Process(self.pid).create_time() - self.started_at) > CLOCK_TOLERANCE_S)
        return False

    def _owns(self, process: psutil.Process) -> bool:
        try:
            if os.getpgid(process.pid) != self.pid or process.status() == psutil.STATUS_ZOMBIE:
                return False
            return bool(process.create_time() >= self.started_at - CLOCK_TOLERANCE_S)
        except (psutil.Error, ProcessLookupError):
            return False


def send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
