"""Statuses, as plain strings: the pure modules use them without Django."""

from enum import StrEnum


class DeploymentStatus(StrEnum):
    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    DEGRADED = "degraded"
    FAILED = "failed"


class ReplicaStatus(StrEnum):
    """A failed replica has no process and is waiting for its next start; a stopping one gets no more calls."""

    STARTING = "starting"
    READY = "ready"
    UNHEALTHY = "unhealthy"
    STOPPING = "stopping"
    FAILED = "failed"
