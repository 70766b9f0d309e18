"""What becomes of replicas whose deployment cannot be written for a while."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import IntegrityError
from django.utils import timezone

from apps.core.actors import Actor
from apps.deployments import services, steering
from apps.deployments.enums import ReplicaStatus
from apps.deployments.models import Replica
from apps.deployments.probing import Prober
from apps.deployments.runtimes import Running
from tests.deployments.replicas import add_replica
from tests.factories.serving import make_model_version
from workers.scaler.leadership import Listed
from workers.scaler.scaler import Scaler


class Witness:
    """A runtime in which one replica runs, and which notes what is done to it."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self.orders: list[str] = []

    def look(self) -> dict[UUID, Running]:
        return {self.replica.pk: Running(is_alive=True)}

    def terminate(self, replica_id: UUID) -> None:
        self.orders.append("terminate")

    def kill(self, replica_id: UUID) -> None:
        self.orders.append("kill")


@pytest.fixture
def prober() -> Iterator[Prober]:
    prober = Prober()
    yield prober
    prober.close()


@pytest.mark.parametrize("trouble", [IntegrityError, steering.Superseded])
def test_replicas_of_a_deployment_that_cannot_be_written_go_on(
    trouble: type[Exception], in_acme: Any, actor: Actor, prober: Prober, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> None:
        raise trouble

    deployment = services.create_deployment("leaving", make_model_version(), by=actor)
    runtime: Any = Witness(add_replica(deployment, 0, ReplicaStatus.READY))
    scaler = Scaler(runtime, prober)
    monkeypatch.setattr(steering, "take_step", fail)
    for now in moments():
        scaler.tick({deployment.pk: Listed(in_acme.pk, deployment.generation)}, now)
    assert runtime.orders == []


def test_replicas_of_a_deleted_deployment_end(in_acme: Any, actor: Actor, prober: Prober) -> None:
    deployment = services.create_deployment("leaving", make_model_version(), by=actor)
    runtime: Any = Witness(add_replica(deployment, 0, ReplicaStatus.READY))
    services.delete_deployment(deployment, by=actor)
    scaler = Scaler(runtime, prober)
    for now in moments():
        scaler.tick({}, now)
    assert runtime.orders[0] == "terminate"
    assert runtime.orders[-1] == "kill"


def moments() -> list[datetime]:
    begin = timezone.now()
    return [begin + timedelta(seconds=second) for second in range(20)]
