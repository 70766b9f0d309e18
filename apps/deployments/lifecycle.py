"""One replica's life: what its process shows turns into its next state and the order to give. Pure; time comes in.

A crash is followed by a new start at once; the second in a row waits a second, each further one twice as long, up to
a minute. After `GIVE_UP_AFTER` crashes in a row the replica is called given up, and is still tried every minute: what
broke it may be mended from outside.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from apps.deployments.enums import ReplicaStatus

START_DEADLINE = timedelta(seconds=60)
UNHEALTHY_DEADLINE = timedelta(seconds=10)
STABLE_AFTER = timedelta(seconds=30)
HEALTH_NOTED_EVERY = timedelta(seconds=30)
MISSED_PROBES = 3
DRAIN = timedelta(seconds=1)
STOP_GRACE = timedelta(seconds=10)
FIRST_DELAY = timedelta(seconds=1)
LONGEST_DELAY = timedelta(seconds=60)
GIVE_UP_AFTER = 5


class Order(StrEnum):
    """What to do with a replica's process."""

    NONE = "none"
    START = "start"
    TERMINATE = "terminate"
    KILL = "kill"
    FORGET = "forget"


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen of a replica's process. `missed_probes` counts health checks in a row without an answer."""

    is_alive: bool
    is_healthy: bool = False
    missed_probes: int = 0
    address: str = ""
    pid: int | None = None
    error: str = ""


LOST = Sight(is_alive=False, error="The process is gone.")


@dataclass(frozen=True, slots=True)
class Life:
    """The state of a replica. `failure_count` is crashes in a row, `restart_count` all starts after the first."""

    status: ReplicaStatus
    changed_at: datetime
    started_at: datetime | None = None
    ready_at: datetime | None = None
    last_healthy_at: datetime | None = None
    retry_at: datetime | None = None
    failure_count: int = 0
    restart_count: int = 0
    address: str = ""
    pid: int | None = None
    last_error: str = ""

    @property
    def has_given_up(self) -> bool:
        return self.failure_count >= GIVE_UP_AFTER


def advance(life: Life, sight: Sight, now: datetime) -> tuple[Life, Order]:
    """The replica's next state, given what its process shows, and the order that goes with it."""
    life = replace(life, pid=sight.pid) if sight.pid else life
    if life.status == ReplicaStatus.STOPPING:
        return life, _end(life, sight, now)
    if life.status == ReplicaStatus.FAILED:
        return _retry(life, now) if life.retry_at is None or now >= life.retry_at else (life, Order.NONE)
    if not sight.is_alive:
        return _crash(life, sight.error, now)
    if life.status == ReplicaStatus.READY:
        return _watch(life, sight, now)
    if sight.is_healthy:
        return _become_ready(life, sight, now), Order.NONE
    return _wait_for_health(life, now)


def stop(life: Life, now: datetime) -> Life:
    """No more calls from now on; the process ends after those in flight."""
    return replace(life, status=ReplicaStatus.STOPPING, changed_at=now, retry_at=None)


def delay_after(failure_count: int) -> timedelta:
    """How long to wait before the next start after that many crashes in a row."""
    if failure_count <= 1:
        return timedelta(0)
    return min(FIRST_DELAY * 2 ** min(failure_count - 2, 10), LONGEST_DELAY)


def _end(life: Life, sight: Sight, now: datetime) -> Order:
    if not sight.is_alive:
        return Order.FORGET
    if now - life.changed_at < DRAIN:
        return Order.NONE
    return Order.TERMINATE if now - life.changed_at < DRAIN + STOP_GRACE else Order.KILL


def _retry(life: Life, now: datetime) -> tuple[Life, Order]:
    started = replace(
        life,
        status=ReplicaStatus.STARTING,
        changed_at=now,
        started_at=now,
        retry_at=None,
        address="",
        pid=None,
        restart_count=life.restart_count + 1,
    )
    return started, Order.START


def _crash(life: Life, error: str, now: datetime) -> tuple[Life, Order]:
    was_stable = life.ready_at is not None and now - life.ready_at >= STABLE_AFTER
    failure_count = 1 if was_stable else life.failure_count + 1
    retry_at = now + delay_after(failure_count)
    failed = replace(
        life,
        status=ReplicaStatus.FAILED,
        changed_at=now,
        ready_at=None,
        retry_at=retry_at,
        failure_count=failure_count,
        address="",
        pid=None,
        last_error=error,
    )
    return (failed, Order.NONE) if retry_at > now else _retry(failed, now)


def _watch(life: Life, sight: Sight, now: datetime) -> tuple[Life, Order]:
    if sight.missed_probes < MISSED_PROBES:
        return _note_health(life, sight, now), Order.NONE
    error = f"It did not answer {sight.missed_probes} health checks in a row."
    return replace(life, status=ReplicaStatus.UNHEALTHY, changed_at=now, last_error=error), Order.NONE


def _note_health(life: Life, sight: Sight, now: datetime) -> Life:
    is_due = life.last_healthy_at is None or now - life.last_healthy_at >= HEALTH_NOTED_EVERY
    return replace(life, last_healthy_at=now) if sight.is_healthy and is_due else life


def _become_ready(life: Life, sight: Sight, now: datetime) -> Life:
    return replace(
        life,
        status=ReplicaStatus.READY,
        changed_at=now,
        ready_at=life.ready_at or now,
        last_healthy_at=now,
        address=sight.address,
    )


def _wait_for_health(life: Life, now: datetime) -> tuple[Life, Order]:
    is_starting = life.status == ReplicaStatus.STARTING
    deadline = START_DEADLINE if is_starting else UNHEALTHY_DEADLINE
    if now - life.changed_at < deadline:
        return life, Order.NONE
    failed, order = _crash(life, _silence(is_starting), now)
    # A start replaces the old process, which is killed first.
    return failed, order if order == Order.START else Order.KILL


def _silence(is_starting: bool) -> str:
    if is_starting:
        return f"It did not answer within {START_DEADLINE.seconds} seconds of its start."
    return f"It stopped answering for {UNHEALTHY_DEADLINE.seconds} seconds."
