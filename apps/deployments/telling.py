"""What people are told when a deployment's status changes."""

from __future__ import annotations

from collections.abc import Collection

from apps.deployments.enums import DeploymentStatus, ReplicaStatus
from apps.deployments.models import Deployment, Replica
from apps.notifications import services as notifications

EVENTS = {
    DeploymentStatus.READY: "deployment.ready",
    DeploymentStatus.DEGRADED: "deployment.degraded",
    DeploymentStatus.FAILED: "deployment.failed",
}
WELL = (ReplicaStatus.READY, ReplicaStatus.STOPPING)


def tell_status(deployment: Deployment, replicas: Collection[Replica]) -> None:
    """Tell of the status that the deployment has from now on, unless it is one of a start without trouble."""
    trouble = [replica for replica in replicas if _is_in_trouble(replica)]
    if deployment.status == DeploymentStatus.DEGRADED and not trouble:
        return
    if event := EVENTS.get(DeploymentStatus(deployment.status)):
        data = {"name": deployment.name, "status": deployment.status}
        notifications.notify(event, deployment, {**data, "reason": trouble[0].last_error if trouble else ""})


def _is_in_trouble(replica: Replica) -> bool:
    return replica.status not in WELL and (replica.failure_count > 0 or replica.status == ReplicaStatus.UNHEALTHY)
