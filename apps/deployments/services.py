"""What people can do with deployments. Each of these changes what is wanted; the scaler makes it so."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.models import F, Sum

from apps.audit import services as audit
from apps.core import live, snapshots, tenancy
from apps.core.actors import Actor
from apps.core.changes import apply_changes
from apps.core.errors import NotFound
from apps.deployments import errors
from apps.deployments.enums import DeploymentStatus
from apps.deployments.models import MAX_REPLICAS, NAME, Deployment
from apps.organizations.models import Project
from apps.registry.models import ModelVersion

# All deployments of one organization together: replicas are processes on shared machines.
MAX_REPLICAS_TOGETHER = 24


@transaction.atomic
def create_deployment(
    name: str, model_version: ModelVersion, *, replica_count: int = 1, project: Project | None = None, by: Actor
) -> Deployment:
    """Ask for an endpoint, which carries its model's project unless another one is given.

    Raises `DeploymentNameInvalid`, `DeploymentNameTaken`, `ReplicaCountInvalid`, `TooManyReplicas`.
    """
    _require_name(name)
    _require_room(replica_count)
    deployment = Deployment(
        name=name,
        model_version=model_version,
        serving_version=model_version,
        replica_count=replica_count,
        project=project or model_version.model.project,
        status=_status_before_work(replica_count),
        created_by_label=by.label[:200],
    )
    try:
        with transaction.atomic():
            deployment.save()
    except IntegrityError:
        raise errors.DeploymentNameTaken(field="name", name=name) from None
    changes = {"name": name, "model_version": str(model_version), "replica_count": replica_count}
    audit.record(by, "deployment.created", deployment, changes)
    _publish(deployment)
    return deployment


@transaction.atomic
def start_deployment(deployment: Deployment, *, by: Actor) -> Deployment:
    """Run the replicas that were asked for. One that runs stays as it is. Raises `TooManyReplicas`."""
    deployment = _locked(deployment)
    if not deployment.is_stopped:
        return deployment
    _require_room(deployment.replica_count, besides=deployment)
    return _change(deployment, by, "deployment.started", is_stopped=False)


@transaction.atomic
def stop_deployment(deployment: Deployment, *, by: Actor) -> Deployment:
    """Send it no more calls and end its replicas. It keeps its name and settings."""
    deployment = _locked(deployment)
    if deployment.is_stopped:
        return deployment
    return _change(deployment, by, "deployment.stopped", is_stopped=True)


@transaction.atomic
def scale_deployment(deployment: Deployment, replica_count: int, *, by: Actor) -> Deployment:
    """Raises `ReplicaCountInvalid`, `TooManyReplicas`."""
    deployment = _locked(deployment)
    if deployment.replica_count == replica_count:
        return deployment
    _require_room(replica_count, besides=deployment)
    return _change(deployment, by, "deployment.scaled", replica_count=replica_count)


@transaction.atomic
def change_model_version(deployment: Deployment, model_version: ModelVersion, *, by: Actor) -> Deployment:
    """Roll out another version: the one before answers until the new one's replicas are all ready.

    Raises `OtherModel`: callers of an endpoint count on its inputs.
    """
    deployment = _locked(deployment)
    if deployment.model_version_id == model_version.pk:
        return deployment
    if deployment.model_version.model_id != model_version.model_id:
        raise errors.OtherModel(field="model_version", name=deployment.name, model=deployment.model_version.model.name)
    return _change(deployment, by, "deployment.version_changed", model_version=model_version)


@transaction.atomic
def label_deployment(deployment: Deployment, project: Project | None, *, by: Actor) -> Deployment:
    """Give it another project as its label, or none. What is served does not change."""
    deployment = _locked(deployment)
    if changes := apply_changes(deployment, {"project": project}):
        deployment.save(update_fields=["project"])
        audit.record(by, "deployment.labelled", deployment, changes)
        live.publish("deployments")
    return deployment


@transaction.atomic
def delete_deployment(deployment: Deployment, *, by: Actor) -> None:
    """Its name answers 404 within a second; its replicas end after the calls in flight."""
    # Locked, so that the scaler cannot give it another replica meanwhile.
    deployment = _locked(deployment)
    audit.record(by, "deployment.deleted", deployment, {"name": deployment.name})
    _publish(deployment)
    deployment.delete()


def _change(deployment: Deployment, by: Actor, action: str, **changed: Any) -> Deployment:
    told = {name: [str(getattr(deployment, name)), str(value)] for name, value in changed.items()}
    for name, value in changed.items():
        setattr(deployment, name, value)
    if not deployment.wanted.replica_count or deployment.status == DeploymentStatus.STOPPED:
        deployment.status = _status_before_work(deployment.wanted.replica_count)
    deployment.generation = F("generation") + 1
    deployment.save()
    deployment.refresh_from_db(fields=["generation"])
    audit.record(by, action, deployment, told)
    _publish(deployment)
    return deployment


def _status_before_work(replica_count: int) -> str:
    return (DeploymentStatus.STARTING if replica_count else DeploymentStatus.STOPPED).value


def _publish(deployment: Deployment) -> None:
    live.publish(f"deployment:{deployment.pk}")
    live.publish("deployments")
    snapshots.publish_on_commit(deployment.organization_id)


def _locked(deployment: Deployment) -> Deployment:
    """The row as it is now, until the transaction ends. Raises `NotFound`."""
    rows = Deployment.objects.select_for_update(of=("self",)).select_related("model_version__model")
    if found := rows.filter(pk=deployment.pk).first():
        return found
    raise NotFound  # deleted meanwhile


def _require_name(name: str) -> None:
    try:
        NAME(name)
    except ValidationError:
        raise errors.DeploymentNameInvalid(field="name") from None


def _require_room(replica_count: int, besides: Deployment | None = None) -> None:
    """Refuse more replicas than one deployment, or all of the organization's together, may have."""
    if not 0 <= replica_count <= MAX_REPLICAS:
        raise errors.ReplicaCountInvalid(field="replica_count", most=MAX_REPLICAS)
    with connection.cursor() as cursor:
        # Two requests must not both take the last free place.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [_quota_lock()])
    others = Deployment.objects.filter(is_stopped=False).exclude(pk=besides.pk if besides else None)
    asked = others.aggregate(total=Sum("replica_count"))["total"] or 0
    if asked + replica_count > MAX_REPLICAS_TOGETHER:
        raise errors.TooManyReplicas(field="replica_count", most=MAX_REPLICAS_TOGETHER, others=asked)


def _quota_lock() -> str:
    return f"replicas:{tenancy.current_tenant_id()}"
