from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from apps.core import tenancy
from apps.core.actors import Actor
from apps.deployments import services
from apps.deployments.enums import ReplicaStatus
from apps.deployments.models import Deployment
from tests.deployments.replicas import add_replica
from tests.factories.serving import make_model_version

PATH = "/api/v1/deployments/"


@pytest.fixture
def version(acme: Any) -> Any:
    with tenancy.scope(acme.pk):
        return make_model_version()


@pytest.fixture
def deployment(acme: Any, version: Any, actor: Actor) -> Deployment:
    with tenancy.scope(acme.pk):
        return services.create_deployment("leaving", version, replica_count=2, by=actor)


def test_a_deployment_is_created_with_its_address(api_developer: Any, version: Any) -> None:
    answer = api_developer.post(PATH, {"name": "leaving", "model_version": str(version.pk)})
    assert answer.status_code == 201
    body = answer.json()
    assert (body["name"], body["status"], body["replica_count"], body["version"]) == ("leaving", "starting", 1, 1)
    assert body["url"].endswith("/v2/models/leaving/infer")
    assert api_developer.get(answer["Location"]).json() == body


@pytest.mark.parametrize(
    ("changes", "status", "code", "field"),
    [
        ({"name": "a b"}, 422, "deployment_name_invalid", "name"),
        ({"name": ""}, 422, "invalid_input", "name"),
        ({"replica_count": 9}, 422, "invalid_input", "replica_count"),
        ({"model_version": str(uuid4())}, 422, "invalid_input", "model_version"),
        ({"name": "leaving"}, 409, "deployment_name_taken", "name"),
    ],
)
def test_what_cannot_be_is_refused_beside_its_field(
    changes: dict[str, Any], status: int, code: str, field: str, api_owner: Any, deployment: Deployment, version: Any
) -> None:
    answer = api_owner.post(PATH, {"name": "other", "model_version": str(version.pk)} | changes)
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == code
    assert answer.json()["errors"][0]["field"] == field


def test_another_organizations_version_is_refused_like_one_that_does_not_exist(
    api_owner: Any, api_outsider: Any, globex: Any
) -> None:
    with tenancy.scope(globex.pk):
        theirs = make_model_version()
    mine = api_owner.post(PATH, {"name": "x", "model_version": str(theirs.pk)})
    absent = api_owner.post(PATH, {"name": "x", "model_version": str(uuid4())})
    assert mine.status_code == absent.status_code == 422
    assert mine.json()["errors"][0]["code"] == absent.json()["errors"][0]["code"] == "does_not_exist"


def test_scaling_and_rolling_out(api_owner: Any, acme: Any, deployment: Deployment) -> None:
    with tenancy.scope(acme.pk):
        newer = make_model_version()
    changes = {"replica_count": 3, "model_version": str(newer.pk)}
    body = api_owner.patch(f"{PATH}{deployment.pk}/", changes).json()
    assert (body["replica_count"], body["version"], body["serving_version"]) == (3, 2, 1)


def test_stop_and_start(api_owner: Any, deployment: Deployment) -> None:
    assert api_owner.post(f"{PATH}{deployment.pk}/stop/").json()["status"] == "stopped"
    assert api_owner.post(f"{PATH}{deployment.pk}/start/").json()["status"] == "starting"


def test_a_deleted_deployment_is_gone(api_owner: Any, deployment: Deployment) -> None:
    assert api_owner.delete(f"{PATH}{deployment.pk}/").status_code == 204
    assert api_owner.get(f"{PATH}{deployment.pk}/").status_code == 404


def test_replicas_are_shown_within(api_viewer: Any, acme: Any, deployment: Deployment) -> None:
    with tenancy.scope(acme.pk):
        add_replica(deployment, 0, ReplicaStatus.READY, "127.0.0.1:1001")
        add_replica(deployment, 1, ReplicaStatus.FAILED)
    body = api_viewer.get(f"{PATH}{deployment.pk}/").json()
    assert [(one["index"], one["status"], one["is_serving"]) for one in body["replicas"]] == [
        (0, "ready", True),
        (1, "failed", False),
    ]
    assert body["ready_replica_count"] == 1
    assert "address" not in body["replicas"][0]


def test_a_viewer_reads_and_does_not_write(api_viewer: Any, deployment: Deployment, version: Any) -> None:
    path = f"{PATH}{deployment.pk}/"
    assert api_viewer.get(PATH).status_code == api_viewer.get(path).status_code == 200
    written = [
        api_viewer.post(PATH, {"name": "x", "model_version": str(version.pk)}),
        api_viewer.patch(path, {"replica_count": 1}),
        api_viewer.delete(path),
        api_viewer.post(f"{path}start/"),
        api_viewer.post(f"{path}stop/"),
    ]
    assert {(one.status_code, one.json()["code"]) for one in written} == {(403, "permission_missing")}


def test_an_outsider_sees_nothing(api_outsider: Any, deployment: Deployment) -> None:
    path = f"{PATH}{deployment.pk}/"
    answers = [
        api_outsider.get(path),
        api_outsider.patch(path, {"replica_count": 1}),
        api_outsider.delete(path),
        api_outsider.post(f"{path}start/"),
        api_outsider.post(f"{path}stop/"),
    ]
    assert {one.status_code for one in answers} == {404}
    assert api_outsider.get(PATH).json()["results"] == []


def test_the_list_takes_as_many_queries_for_three_as_for_one(
    api_owner: Any, acme: Any, actor: Actor, deployment: Deployment, django_assert_num_queries: Any
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    def fill(target: Deployment) -> None:
        for index in range(2):
            add_replica(target, index, ReplicaStatus.READY, f"127.0.0.1:{1000 + index}")

    api_owner.get(PATH)
    with tenancy.scope(acme.pk):
        fill(deployment)
    with CaptureQueriesContext(
        connection,
    ) as one:
        assert len(api_owner.get(PATH).json()["results"]) == 1
    with tenancy.scope(acme.pk):
        for number in range(2):
            fill(services.create_deployment(f"d{number}", make_model_version(), by=actor))
    with django_assert_num_queries(len(one)):
        assert len(api_owner.get(PATH).json()["results"]) == 3


def test_filters(api_owner: Any, deployment: Deployment) -> None:
    assert len(api_owner.get(PATH, {"status": "starting", "name": "leaving"}).json()["results"]) == 1
    assert api_owner.get(PATH, {"status": "ready"}).json()["results"] == []
