"""Ends this process when the supervisor is gone, however that ended."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from contextlib import suppress

POLL_INTERVAL_S = 1.0


def end_with(pid: int) -> None:
    """Send this process SIGTERM as soon as process `pid` is gone; at once when it is gone already."""
    threading.Thread(target=_end_after, args=(pid,), name="supervised", daemon=True).start()


def _end_after(pid: int) -> None:
    with suppress(ProcessLookupError):
        _wait_for_end(pid)
    os.kill(os.getpid(), signal.SIGTERM)


def _wait_for_end(pid: int) -> None:
    if hasattr(os, "pidfd_open"):  # Linux: wakes at the end, and is not deceived by a new process of the same number
        poll = select.poll()
        poll.register(os.pidfd_open(pid), select.POLLIN)
        poll.poll()
        return
    while True:
        os.kill(pid, 0)
        time.sleep(POLL_INTERVAL_S)
