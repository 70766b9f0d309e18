from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from time import sleep
from typing import Any

import pytest
from django.db import connection, transaction

from apps.audit.models import AuditEntry
from apps.core import tenancy
from apps.core.actors import Actor
from apps.core.errors import NotFound
from apps.deployments import errors, services
from apps.deployments.enums import DeploymentStatus, ReplicaStatus
from apps.deployments.models import MAX_REPLICAS, Deployment, Replica
from apps.deployments.services import MAX_REPLICAS_TOGETHER
from apps.deployments.snapshot import compile_section
from tests.deployments.replicas import add_replica
from tests.factories.serving import make_model_version


@pytest.fixture
def version(in_acme: Any) -> Any:
    return make_model_version()


@pytest.fixture
def deployment(version: Any, actor: Actor) -> Deployment:
    return services.create_deployment("leaving", version, replica_count=2, by=actor)


def actions() -> list[str]:
    return list(AuditEntry.objects.filter(subject_type="deployment").order_by("id").values_list("action", flat=True))


def test_a_new_deployment_is_starting_and_on_the_trail(deployment: Deployment, actor: Actor) -> None:
    assert deployment.status == DeploymentStatus.STARTING
    assert deployment.serving_version == deployment.model_version
    assert actions() == ["deployment.created"]


def test_a_name_is_taken_once_in_an_organization(
    deployment: Deployment, version: Any, actor: Actor, globex: Any
) -> None:
    with pytest.raises(errors.DeploymentNameTaken):
        services.create_deployment("leaving", version, by=actor)
    with tenancy.scope(globex.pk):
        assert services.create_deployment("leaving", make_model_version(), by=actor).name == "leaving"


@pytest.mark.parametrize("name", ["", "a b", "-a", "a/b", "é", "a" * 64, "name\n"])
def test_a_name_must_fit_into_an_address(name: str, version: Any, actor: Actor) -> None:
    with pytest.raises(errors.DeploymentNameInvalid):
        services.create_deployment(name, version, by=actor)


@pytest.mark.parametrize("count", [-1, MAX_REPLICAS + 1])
def test_the_number_of_replicas_has_limits(count: int, deployment: Deployment, actor: Actor) -> None:
    with pytest.raises(errors.ReplicaCountInvalid):
        services.scale_deployment(deployment, count, by=actor)


def test_all_deployments_together_have_a_limit_and_stopped_ones_do_not_count(version: Any, actor: Actor) -> None:
    made = [
        services.create_deployment(f"d{number}", version, replica_count=MAX_REPLICAS, by=actor)
        for number in range(MAX_REPLICAS_TOGETHER // MAX_REPLICAS)
    ]
    with pytest.raises(errors.TooManyReplicas):
        services.create_deployment("more", version, by=actor)
    services.stop_deployment(made[0], by=actor)
    assert services.create_deployment("more", version, by=actor).replica_count == 1
    with pytest.raises(errors.TooManyReplicas):
        services.start_deployment(made[0], by=actor)


def test_each_change_is_a_new_generation_and_on_the_trail(deployment: Deployment, version: Any, actor: Actor) -> None:
    newer = make_model_version()
    services.scale_deployment(deployment, 3, by=actor)
    services.change_model_version(deployment, newer, by=actor)
    services.stop_deployment(deployment, by=actor)
    changed = services.start_deployment(deployment, by=actor)
    assert changed.generation == 5
    assert (changed.replica_count, changed.model_version, changed.serving_version) == (3, newer, version)
    assert actions() == [
        "deployment.created",
        "deployment.scaled",
        "deployment.version_changed",
        "deployment.stopped",
        "deployment.started",
    ]


def test_an_endpoint_keeps_to_its_model(deployment: Deployment, actor: Actor) -> None:
    with pytest.raises(errors.OtherModel):
        services.change_model_version(deployment, make_model_version("another"), by=actor)


def test_asking_for_what_is_there_changes_nothing(deployment: Deployment, version: Any, actor: Actor) -> None:
    services.start_deployment(deployment, by=actor)
    services.scale_deployment(deployment, 2, by=actor)
    services.change_model_version(deployment, version, by=actor)
    assert actions() == ["deployment.created"]


def test_the_snapshot_lists_ready_replicas_of_the_version_served_now(deployment: Deployment, actor: Actor) -> None:
    ready = add_replica(deployment, 0, ReplicaStatus.READY, "127.0.0.1:1001")
    add_replica(deployment, 1, ReplicaStatus.STARTING)
    newer = make_model_version()
    services.change_model_version(deployment, newer, by=actor)
    deployment.refresh_from_db()
    add_replica(deployment, 0, ReplicaStatus.READY, "127.0.0.1:1003", version=newer)
    entry = compile_section()["leaving"]
    assert entry["replicas"] == [{"id": str(ready.pk), "address": "127.0.0.1:1001"}]
    assert (entry["version"], entry["model_version_id"]) == (1, str(deployment.serving_version_id))
    assert entry["signature"] == deployment.serving_version.signature


def test_a_stopped_deployment_stays_in_the_snapshot_without_replicas(deployment: Deployment, actor: Actor) -> None:
    add_replica(deployment, 0, ReplicaStatus.READY, "127.0.0.1:1001")
    stopped = services.stop_deployment(deployment, by=actor)
    assert stopped.status == DeploymentStatus.STOPPED
    assert compile_section()["leaving"]["replicas"] == []


def test_a_deleted_deployment_leaves_the_snapshot_and_its_replicas_rows(deployment: Deployment, actor: Actor) -> None:
    add_replica(deployment, 0, ReplicaStatus.READY, "127.0.0.1:1001")
    services.delete_deployment(deployment, by=actor)
    assert compile_section() == {}
    assert not Replica.objects.exists()
    assert actions()[-1] == "deployment.deleted"


def test_the_system_function_tells_generations_and_nothing_else(deployment: Deployment, globex: Any) -> None:
    with tenancy.scope(globex.pk), connection.cursor() as cursor:
        assert not Deployment.objects.exists()
        cursor.execute("SELECT * FROM deployments_generations()")
        rows = cursor.fetchall()
    assert rows == [(deployment.pk, deployment.organization_id, 1)]


@pytest.mark.django_db(transaction=True)
def test_parallel_requests_never_take_more_replicas_than_there_are(acme: Any, actor: Actor) -> None:
    with tenancy.scope(acme.pk):
        version = make_model_version()

    def create(number: int) -> bool:
        try:
            with tenancy.scope(acme.pk):
                services.create_deployment(f"d{number}", version, replica_count=MAX_REPLICAS, by=actor)
            return True
        except errors.TooManyReplicas:
            return False
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(create, range(6)))
    assert sum(made) == MAX_REPLICAS_TOGETHER // MAX_REPLICAS


@pytest.mark.django_db(transaction=True)
def test_a_deployment_can_be_deleted_while_the_scaler_gives_it_a_replica(acme: Any, actor: Actor) -> None:
    def delete() -> None:
        try:
            with tenancy.scope(acme.pk):
                services.delete_deployment(deployment, by=actor)
        finally:
            connection.close()

    with tenancy.scope(acme.pk), ThreadPoolExecutor(1) as pool:
        deployment = services.create_deployment("leaving", make_model_version(), by=actor)
        with transaction.atomic():
            Deployment.objects.filter(pk=deployment.pk).update(status=DeploymentStatus.STARTING)
            add_replica(deployment, 0, ReplicaStatus.STARTING)
            deleted = pool.submit(delete)
            while not waiting_for_a_lock() and not deleted.done():
                sleep(0.01)
        deleted.result()
        assert not Deployment.objects.exists()
        assert not Replica.objects.exists()


def waiting_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        return bool(cursor.fetchone()[0])


def test_what_was_deleted_meanwhile_is_not_found(deployment: Deployment, actor: Actor) -> None:
    Deployment.objects.all().delete()
    for act in (services.delete_deployment, services.start_deployment, services.stop_deployment):
        with pytest.raises(NotFound):
            act(deployment, by=actor)
