"""The deployments section of the data plane's snapshot."""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch

from apps.deployments.enums import ReplicaStatus
from apps.deployments.models import Deployment, Replica


def compile_section() -> dict[str, dict[str, Any]]:
    """Every deployment by name, with the replicas that get calls: ready, and of the version served now."""
    ready = Replica.objects.filter(status=ReplicaStatus.READY).order_by("id")
    rows = Deployment.objects.select_related("serving_version").prefetch_related(Prefetch("replicas", ready))
    return {deployment.name: _entry(deployment) for deployment in rows.order_by("name")}


def _entry(deployment: Deployment) -> dict[str, Any]:
    version = deployment.serving_version
    serving = [] if deployment.is_stopped else [one for one in deployment.replicas.all() if one.is_serving]
    return {
        "deployment_id": str(deployment.pk),
        "model_version_id": str(version.pk),
        "version": version.number,
        "signature": version.signature,
        "replicas": [{"id": str(replica.pk), "address": replica.address} for replica in serving],
    }
