"""From what is wanted and what there is to what must be started and stopped. Pure: no clock, no process, no row.

A deployment serves one version at a time. While another version is rolled out, the served one stays complete until
the wanted one is, and then all calls move at once: a caller never sees two signatures.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from apps.deployments.enums import DeploymentStatus, ReplicaStatus

# When there are too many, the most useful are kept.
_USEFULNESS = [ReplicaStatus.READY, ReplicaStatus.STARTING, ReplicaStatus.UNHEALTHY, ReplicaStatus.FAILED]


@dataclass(frozen=True, slots=True)
class Wanted:
    """`replica_count` is 0 for a stopped deployment; `serving` is the version that gets the calls now."""

    version: UUID
    serving: UUID
    replica_count: int


@dataclass(frozen=True, slots=True)
class Member:
    """A replica as the plan sees it."""

    id: UUID
    version: UUID
    index: int
    status: ReplicaStatus


@dataclass(frozen=True, slots=True)
class Plan:
    """The version to serve from now on, the indexes at which to start replicas of the wanted version, whom to stop."""

    serving: UUID
    start: tuple[int, ...]
    stop: frozenset[UUID]


def plan(wanted: Wanted, members: Collection[Member]) -> Plan:
    serving = served_version(wanted, members)
    living = [member for member in members if member.status != ReplicaStatus.STOPPING]
    kept = _best(living, wanted.version, wanted.replica_count)
    taken = {member.index for member in members if member.version == wanted.version}
    start = _free_indexes(taken, wanted.replica_count - len(kept))
    if serving != wanted.version:
        kept += _best(living, serving, wanted.replica_count)
    return Plan(serving, start, frozenset(member.id for member in living) - {member.id for member in kept})


def served_version(wanted: Wanted, members: Collection[Member]) -> UUID:
    """The wanted version as soon as it is complete, or can answer while the one before cannot."""
    before, after = ready_count(members, wanted.serving), ready_count(members, wanted.version)
    if after >= wanted.replica_count or (after and not before):
        return wanted.version
    return wanted.serving


def ready_count(members: Collection[Member], version: UUID) -> int:
    return sum(member.version == version and member.status == ReplicaStatus.READY for member in members)


def status_of(wanted: Wanted, members: Collection[Member]) -> DeploymentStatus:
    """What a caller of the endpoint can expect."""
    if wanted.replica_count == 0:
        return DeploymentStatus.STOPPED
    ready = ready_count(members, wanted.serving)
    has_failed = any(member.status == ReplicaStatus.FAILED for member in members)
    if ready >= wanted.replica_count:
        return DeploymentStatus.DEGRADED if has_failed else DeploymentStatus.READY
    if ready:
        return DeploymentStatus.DEGRADED
    return DeploymentStatus.FAILED if has_failed else DeploymentStatus.STARTING


def _best(members: Sequence[Member], version: UUID, count: int) -> list[Member]:
    candidates = [member for member in members if member.version == version]
    return sorted(candidates, key=lambda member: (_USEFULNESS.index(member.status), member.index))[:count]


def _free_indexes(taken: Collection[int], count: int) -> tuple[int, ...]:
    free = (index for index in range(len(taken) + max(count, 0)) if index not in taken)
    return tuple(index for index, _ in zip(free, range(count), strict=False))
