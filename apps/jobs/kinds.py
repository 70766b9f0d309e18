"""Kinds of jobs: what runs, on which queue, for how long, how often it is tried, what happens at its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from apps.jobs.backoff import Backoff
from apps.jobs.enums import OUTSIDE
from apps.jobs.errors import UnknownKind

if TYPE_CHECKING:
    from apps.jobs.models import Job
    from apps.jobs.running import RunningJob

Handler = Callable[["RunningJob"], dict[str, Any] | None]
AtEnd = Callable[["Job"], None]
DEFAULT_BACKOFF = Backoff()


@dataclass(frozen=True, slots=True)
class Kind:
    """`final` are errors that trying again would not help. `is_open`: people may submit it by the API, otherwise they
    start it with `started_by`.
    """

    name: str
    queue: str
    time_limit_s: int
    max_attempts: int
    handler: Handler | None = None
    backoff: Backoff = DEFAULT_BACKOFF
    final: tuple[type[Exception], ...] = ()
    is_open: bool = False
    tells_its_own_end: bool = False
    started_by: str = ""


_kinds: dict[str, Kind] = {}
_at_end: dict[str, list[AtEnd]] = {}


def kind(
    name: str,
    *,
    queue: str = "default",
    time_limit_s: int = 3600,
    max_attempts: int = 3,
    backoff: Backoff = DEFAULT_BACKOFF,
    final: tuple[type[Exception], ...] = (),
    is_open: bool = False,
    tells_its_own_end: bool = False,
    started_by: str = "",
) -> Callable[[Handler], Handler]:
    """Register the handler of a kind. It runs inside the tenant's scope and outside a transaction.

    A kind that `tells_its_own_end` has an event that says more to whoever started it than that a job ended.
    """

    def register(handler: Handler) -> Handler:
        _kinds[name] = Kind(
            name, queue, time_limit_s, max_attempts, handler, backoff, final, is_open, tells_its_own_end, started_by
        )
        return handler

    return register


def at_end(name: str) -> Callable[[AtEnd], AtEnd]:
    """Register what happens in the transaction that ends a job of this kind, in its organization's scope."""

    def register(receiver: AtEnd) -> AtEnd:
        _at_end.setdefault(name, []).append(receiver)
        return receiver

    return register


def receivers_of_end(name: str) -> list[AtEnd]:
    return _at_end.get(name, [])


def get(name: str) -> Kind:
    """One of ours, or else the organization's own, whose work its own processes do."""
    return _kinds.get(name) or Kind(name, OUTSIDE, time_limit_s=24 * 3600, max_attempts=3)


def ours(name: str) -> Kind:
    """Raises `UnknownKind`."""
    try:
        return _kinds[name]
    except KeyError:
        raise UnknownKind(kind=name) from None


def is_ours(name: str) -> bool:
    return name in _kinds


def queues() -> list[str]:
    """The queues that our workers serve."""
    return sorted({one.queue for one in _kinds.values()})
