"""Kinds of jobs: what runs, on which queue, for how long, how often it is tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apps.jobs.running import RunningJob

Handler = Callable[["RunningJob"], dict[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Kind:
    name: str
    queue: str
    time_limit_s: int
    max_attempts: int
    handler: Handler
    tells_its_own_end: bool = False


_kinds: dict[str, Kind] = {}


def kind(
    name: str,
    *,
    queue: str = "default",
    time_limit_s: int = 3600,
    max_attempts: int = 3,
    tells_its_own_end: bool = False,
) -> Callable[[Handler], Handler]:
    """Register the handler of a kind. It runs inside the tenant's scope and outside a transaction.

    A kind that `tells_its_own_end` has an event that says more to whoever started it than that a job ended.
    """

    def register(handler: Handler) -> Handler:
        _kinds[name] = Kind(name, queue, time_limit_s, max_attempts, handler, tells_its_own_end)
        return handler

    return register


def get(name: str) -> Kind:
    return _kinds[name]


def tells_its_own_end(name: str) -> bool:
    return name in _kinds and _kinds[name].tells_its_own_end
