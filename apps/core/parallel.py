"""Questions that may hang, asked all at once and answered in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

T = TypeVar("T")


class Parallel(Generic[T]):
    """Calls functions by name, each in a thread. One that still hangs from the last time is not called again."""

    def __init__(self, functions: Mapping[str, Callable[[], T]], name: str) -> None:
        self._functions = functions
        self._executor = ThreadPoolExecutor(max(1, len(functions)), thread_name_prefix=name)
        self._running: dict[str, Future[T]] = {}

    def __call__(self, deadline_s: float) -> dict[str, T | None]:
        """What each function returned; None where it did not in time."""
        for name, function in self._functions.items():
            if name not in self._running or self._running[name].done():
                self._running[name] = self._executor.submit(function)
        wait(self._running.values(), timeout=deadline_s)
        return {name: future.result() if future.done() else None for name, future in self._running.items()}


class Remembered(Generic[T]):
    """A function of no argument whose answer counts for some seconds, however many ask."""

    def __init__(self, function: Callable[[], T], seconds: float) -> None:
        self._function = function
        self._seconds = seconds
        self._lock = threading.Lock()
        self._known: tuple[float, T] | None = None

    def __call__(self) -> T:
        with self._lock:
            if self._known is None or time.monotonic() - self._known[0] > self._seconds:
                self._known = (time.monotonic(), self._function())
            return self._known[1]
