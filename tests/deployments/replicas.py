"""Replica rows without processes, for tests of what reads them."""

from __future__ import annotations

from django.utils import timezone

from apps.deployments.enums import ReplicaStatus
from apps.deployments.models import Deployment, Replica
from apps.registry.models import ModelVersion


def add_replica(
    deployment: Deployment, index: int, status: ReplicaStatus, address: str = "", version: ModelVersion | None = None
) -> Replica:
    return Replica.objects.create(
        deployment=deployment,
        model_version=version or deployment.model_version,
        index=index,
        status=status.value,
        address=address,
        changed_at=timezone.now(),
    )
