"""Where replicas run. A runtime starts and ends them and tells what it sees; it decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class ReplicaSpec:
    """All that a replica needs to start."""

    replica_id: UUID
    name: str
    version: str
    artifact_path: str
    artifact_sha256: str
    signature: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Running:
    """A replica as its runtime sees it; the address comes when it listens, the error when it has ended."""

    is_alive: bool
    address: str = ""
    pid: int | None = None
    error: str = ""


class Runtime(Protocol):
    def adopt(self) -> None:
        """Find the replicas that an earlier scaler left running."""

    def start(self, spec: ReplicaSpec) -> None:
        """Begin to start a replica, in place of one of the same id; what goes wrong is seen by `look`."""

    def terminate(self, replica_id: UUID) -> None:
        """Ask a replica to end after the calls in flight."""

    def kill(self, replica_id: UUID) -> None:
        """End a replica now."""

    def forget(self, replica_id: UUID) -> None:
        """Remove what is left of a replica that has ended."""

    def look(self) -> dict[UUID, Running]:
        """Every replica that was started or adopted and not forgotten."""
