"""One step of a deployment towards what is wanted: see, decide, write it down, give orders.

Runs in the organization's scope, in the one scaler that leads; nobody else writes replicas.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from uuid import UUID

from django.db import transaction

from apps.core import live
from apps.deployments import lifecycle, telling
from apps.deployments.enums import ReplicaStatus
from apps.deployments.lifecycle import LOST, Life, Order, Sight
from apps.deployments.models import Deployment, Replica
from apps.deployments.reconciliation import Member, Plan, plan, status_of
from apps.deployments.runtimes import ReplicaSpec

# What is written now and then only to show that the scaler is at work.
UNSEEN_FIELDS = ("last_healthy_at",)
LIFE_FIELDS = tuple(one.name for one in fields(Life))


class Superseded(Exception):
    """Somebody changed what is wanted; it has to be loaded again."""


@dataclass(slots=True)
class Endpoint:
    """A deployment with its replicas, as the scaler keeps it between steps."""

    deployment: Deployment
    replicas: list[Replica]

    @property
    def members(self) -> list[Member]:
        return [replica.member for replica in self.replicas]

    @property
    def routing(self) -> tuple[UUID, list[tuple[UUID, str]]]:
        """What the data plane is told."""
        serving = [(replica.pk, replica.address) for replica in self.replicas if replica.is_serving]
        return self.deployment.serving_version_id, sorted(serving)


@dataclass(slots=True)
class Step:
    """What a step changed, and the orders that follow once it is written down."""

    orders: list[tuple[Order, Replica]] = field(default_factory=list)
    created: list[Replica] = field(default_factory=list)
    changed: list[Replica] = field(default_factory=list)
    removed: list[Replica] = field(default_factory=list)
    is_visible: bool = False
    is_routing_changed: bool = False
    is_status_changed: bool = False


def load(deployment_id: UUID) -> Endpoint | None:
    """None when it was deleted meanwhile."""
    deployment = Deployment.objects.with_replicas().filter(pk=deployment_id).first()
    return Endpoint(deployment, list(deployment.replicas.all())) if deployment else None


def take_step(endpoint: Endpoint, sights: Mapping[UUID, Sight], now: datetime) -> Step:
    """Move one step and commit it. Raises `Superseded`; then nothing was written and no order may be given."""
    step, routing, status = Step(), endpoint.routing, endpoint.deployment.status
    for replica in endpoint.replicas:
        _advance(replica, sights.get(replica.pk, LOST), now, step)
    endpoint.replicas = [replica for replica in endpoint.replicas if replica not in step.removed]
    _carry_out(plan(endpoint.deployment.wanted, endpoint.members), endpoint, now, step)
    endpoint.deployment.status = status_of(endpoint.deployment.wanted, endpoint.members).value
    step.is_routing_changed = endpoint.routing != routing
    step.is_status_changed = endpoint.deployment.status != status
    step.is_visible |= step.is_routing_changed or step.is_status_changed
    if step.is_visible or step.changed:
        _write(endpoint, step)
    return step


def spec_of(replica: Replica) -> ReplicaSpec:
    version = replica.model_version
    return ReplicaSpec(
        replica_id=replica.pk,
        name=replica.deployment.name,
        version=str(version.number),
        artifact_path=version.artifact_path,
        artifact_sha256=version.artifact_sha256,
        signature=version.signature,
    )


def _advance(replica: Replica, sight: Sight, now: datetime, step: Step) -> None:
    life, order = lifecycle.advance(replica.life, sight, now)
    if order != Order.NONE:
        step.orders.append((order, replica))
    if order == Order.FORGET:
        step.removed.append(replica)
        step.is_visible = True
    else:
        _change(replica, life, step)


def _change(replica: Replica, life: Life, step: Step) -> None:
    before = replica.life
    if life == before:
        return
    replica.life = life
    if replica not in step.changed:
        step.changed.append(replica)
    visible = (name for name in LIFE_FIELDS if name not in UNSEEN_FIELDS)
    step.is_visible |= any(getattr(life, name) != getattr(before, name) for name in visible)


def _carry_out(decided: Plan, endpoint: Endpoint, now: datetime, step: Step) -> None:
    deployment = endpoint.deployment
    if decided.serving != deployment.serving_version_id:
        deployment.serving_version = deployment.model_version
    for replica in endpoint.replicas:
        if replica.pk in decided.stop:
            _change(replica, lifecycle.stop(replica.life, now), step)
    # A replica that crashed and is not needed any more is not started again.
    step.orders = [(order, one) for order, one in step.orders if order != Order.START or one.pk not in decided.stop]
    for index in decided.start:
        replica = _new_replica(deployment, index, now)
        endpoint.replicas.append(replica)
        step.created.append(replica)
        step.orders.append((Order.START, replica))
    step.is_visible |= bool(decided.start)


def _new_replica(deployment: Deployment, index: int, now: datetime) -> Replica:
    return Replica(
        deployment=deployment,
        model_version=deployment.model_version,
        index=index,
        status=ReplicaStatus.STARTING.value,
        changed_at=now,
        started_at=now,
    )


@transaction.atomic
def _write(endpoint: Endpoint, step: Step) -> None:
    deployment = endpoint.deployment
    wanted = Deployment.objects.filter(pk=deployment.pk, generation=deployment.generation)
    if not wanted.update(status=deployment.status, serving_version=deployment.serving_version):
        raise Superseded
    # First, because a new replica may take the index of one that is gone.
    Replica.objects.filter(pk__in=[replica.pk for replica in step.removed]).delete()
    Replica.objects.bulk_create(step.created)
    for replica in step.changed:
        replica.save(update_fields=LIFE_FIELDS)
    if step.is_visible:
        live.publish(f"deployment:{deployment.pk}")
        live.publish("deployments")
    if step.is_status_changed:
        telling.tell_status(deployment, endpoint.replicas)
