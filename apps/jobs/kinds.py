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


_kinds: dict[str, Kind] = {}


def kind(
    name: str, *, queue: str = "default", time_limit_s: int = 3600, max_attempts: int = 3
) -> Callable[[Handler], Handler]:
    """Register the handler of a kind. It runs inside the tenant's scope and outside a transaction."""

    def register(handler: Handler) -> Handler:
        _kinds[name] = Kind(name, queue, time_limit_s, max_attempts, handler)
        return handler

    return register


def get(name: str) -> Kind:
    return _kinds[name]
