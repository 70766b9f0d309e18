"""Steps without processes: what is written for what was seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone

from apps.core.actors import Actor
from apps.deployments import services, steering
from apps.deployments.enums import ReplicaStatus
from apps.deployments.lifecycle import Order, Sight
from apps.deployments.models import Deployment
from tests.deployments.replicas import add_replica
from tests.factories.serving import make_model_version


@pytest.fixture
def deployment(in_acme: Any, actor: Actor) -> Deployment:
    return services.create_deployment("leaving", make_model_version(), replica_count=2, by=actor)


def step(deployment: Deployment, sights: Mapping[UUID, Sight] | None = None) -> steering.Step:
    endpoint = steering.load(deployment.pk)
    assert endpoint is not None
    return steering.take_step(endpoint, sights or {}, timezone.now())


def healthy(port: int) -> Sight:
    return Sight(is_alive=True, is_healthy=True, address=f"127.0.0.1:{port}", pid=port)


def test_the_first_step_starts_all_replicas(deployment: Deployment) -> None:
    taken = step(deployment)
    assert [order for order, _ in taken.orders] == [Order.START, Order.START]
    assert sorted(deployment.replicas.values_list("index", "status")) == [(0, "starting"), (1, "starting")]


def test_routing_changes_only_when_a_replica_comes_or_goes(deployment: Deployment) -> None:
    replica = add_replica(deployment, 0, ReplicaStatus.STARTING)
    other = add_replica(deployment, 1, ReplicaStatus.READY, "127.0.0.1:2")
    sights = {replica.pk: healthy(1), other.pk: healthy(2)}
    assert step(deployment, sights).is_routing_changed
    assert not step(deployment, sights).is_routing_changed
    assert step(deployment, {replica.pk: healthy(1)}).is_routing_changed


def test_a_new_replica_may_take_the_index_of_one_that_just_ended(deployment: Deployment) -> None:
    gone = [add_replica(deployment, index, ReplicaStatus.STOPPING) for index in range(2)]
    taken = step(deployment)
    assert taken.removed == gone
    assert sorted(deployment.replicas.values_list("index", "status")) == [(0, "starting"), (1, "starting")]


def test_a_replica_that_crashed_while_it_is_not_needed_any_more_is_not_started_again(
    deployment: Deployment, actor: Actor
) -> None:
    replica = add_replica(deployment, 0, ReplicaStatus.READY, "127.0.0.1:1")
    services.stop_deployment(deployment, by=actor)
    assert step(deployment).orders == []
    replica.refresh_from_db()
    assert replica.status == ReplicaStatus.STOPPING


def test_a_step_on_what_somebody_changed_meanwhile_writes_nothing(deployment: Deployment, actor: Actor) -> None:
    endpoint = steering.load(deployment.pk)
    assert endpoint is not None
    services.scale_deployment(deployment, 1, by=actor)
    with pytest.raises(steering.Superseded):
        steering.take_step(endpoint, {}, timezone.now())
    assert not deployment.replicas.exists()


def test_a_deleted_deployment_has_nothing_to_load(deployment: Deployment, actor: Actor) -> None:
    services.delete_deployment(deployment, by=actor)
    assert steering.load(deployment.pk) is None
