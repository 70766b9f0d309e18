"""Editing by the API and on pages without overwriting what somebody else changed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.urls import resolve
from rest_framework.test import APIClient

from apps.audit.models import AuditEntry
from apps.core.api.preconditions import UNCONDITIONAL
from apps.deployments import services as deployments
from apps.organizations import services
from apps.organizations.models import Project
from tests.architecture.doors import OPERATIONS, operation_path
from tests.factories import world
from tests.factories.serving import make_model_version

TOLD_EDITS = [row for row in OPERATIONS if row[1] in {"patch", "put", "delete"} and UNCONDITIONAL not in row[2]]
EDITS = [(path, method) for path, method, _ in TOLD_EDITS]


@pytest.fixture
def project(in_acme: Any, actor: Any) -> Project:
    return services.create_project("Churn", by=actor)


@pytest.fixture
def url(project: Project) -> str:
    return f"/api/v1/projects/{project.pk}/"


@pytest.mark.django_db
def test_an_edit_of_another_state_is_refused_and_changes_nothing(api_owner: Any, url: str, project: Project) -> None:
    seen = api_owner.get(url)["ETag"]
    first = api_owner.patch(url, {"name": "Leaving"}, headers={"If-Match": seen})
    assert first.status_code == 200
    second = api_owner.patch(url, {"name": "Staying"}, headers={"If-Match": seen})
    assert (second.status_code, second["Content-Type"]) == (412, "application/problem+json")
    assert (second.json()["code"], second["ETag"]) == ("precondition_failed", first["ETag"])
    assert api_owner.delete(url, headers={"If-Match": seen}).status_code == 412
    project.refresh_from_db()
    assert project.name == "Leaving"
    assert AuditEntry.objects.filter(subject_id=project.pk, action="project.updated").count() == 1


@pytest.mark.django_db
def test_the_tag_of_an_answer_permits_the_next_edit(api_owner: Any, in_acme: Any) -> None:
    made = api_owner.post("/api/v1/projects/", {"name": "Churn"})
    changed = api_owner.patch(made["Location"], {"name": "b"}, headers={"If-Match": made["ETag"]})
    assert api_owner.get(made["Location"])["ETag"] == changed["ETag"] != made["ETag"]
    assert api_owner.delete(made["Location"], headers={"If-Match": changed["ETag"]}).status_code == 204


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("header", "status"), [("*", 200), ('"other", {tag}', 200), ('"other"', 412), ("other", 400), ("", 400)]
)
def test_if_match_lists_states(api_owner: Any, url: str, header: str, status: int) -> None:
    tag = api_owner.get(url)["ETag"]
    answer = api_owner.patch(url, {"name": "Leaving"}, headers={"If-Match": header.replace("{tag}", tag)})
    assert answer.status_code == status, answer.content


@pytest.mark.django_db
def test_without_the_header_the_edit_goes_on(api_owner: Any, url: str) -> None:
    assert api_owner.patch(url, {"name": "Leaving"}).status_code == 200


@pytest.mark.django_db
def test_if_match_tells_nothing_of_what_is_not_there(api_outsider: Any, url: str) -> None:
    assert api_outsider.patch(url, {"name": "x"}, headers={"If-Match": "*"}).status_code == 404
    assert api_outsider.delete("/api/v1/projects/none/", headers={"If-Match": "*"}).status_code == 404


@pytest.mark.django_db
def test_what_is_known_is_not_sent_again(api_owner: Any, url: str) -> None:
    tag = api_owner.get(url)["ETag"]
    again = api_owner.get(url, headers={"If-None-Match": tag})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", tag)
    api_owner.patch(url, {"name": "Leaving"})
    assert api_owner.get(url, headers={"If-None-Match": tag}).status_code == 200


@pytest.mark.django_db
def test_what_the_system_writes_is_news_to_a_reader_and_no_obstacle_to_an_editor(
    api_owner: Any, in_acme: Any, actor: Any
) -> None:
    deployment = deployments.create_deployment("churn", make_model_version(), by=actor)
    url = f"/api/v1/deployments/{deployment.pk}/"
    seen = api_owner.get(url)["ETag"]
    type(deployment).objects.filter(pk=deployment.pk).update(status="ready")
    assert api_owner.get(url, headers={"If-None-Match": seen}).json()["status"] == "ready"
    assert api_owner.patch(url, {"replica_count": 2}, headers={"If-Match": seen}).status_code == 200
    assert api_owner.patch(url, {"replica_count": 3}, headers={"If-Match": seen}).status_code == 412


def waiting_for_a_lock() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND state = 'active'")
        return cursor.fetchone()[0]


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


@pytest.mark.django_db(transaction=True)
def test_of_two_parallel_edits_of_one_state_one_wins(api_owner: Any, url: str, project: Project) -> None:
    seen = api_owner.get(url)["ETag"]
    answers: dict[str, int] = {}

    def edit(name: str) -> None:
        client = APIClient()
        client.default_format = "json"
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {api_owner.token}")
        answers[name] = client.patch(url, {"name": name}, headers={"If-Match": seen}).status_code
        connections.close_all()

    threads = [threading.Thread(target=edit, args=(name,)) for name in ("one", "two")]
    with transaction.atomic():
        # Neither can read the row before both of them have come as far as wanting it.
        Project.objects.select_for_update().get(pk=project.pk)
        for thread in threads:
            thread.start()
        until(lambda: waiting_for_a_lock() == 2)
    for thread in threads:
        thread.join()
    assert sorted(answers.values()) == [200, 412]
    project.refresh_from_db()
    assert answers[project.name] == 200


@pytest.fixture
def api_of_world(acme: Any, actor: Any, api_owner: Any) -> tuple[Any, dict[str, Any]]:
    return api_owner, world.build(acme, actor)


@pytest.mark.parametrize(("path", "method"), EDITS, ids=[f"{method} {path}" for path, method in EDITS])
@pytest.mark.django_db
def test_every_edit_of_the_api_honours_if_match(path: str, method: str, api_of_world: Any) -> None:
    api, rows = api_of_world
    target = operation_path(path, rows)
    shown = api.get(target)
    assert shown["ETag"], target
    refused = getattr(api, method)(target, _body_of(path, method, shown.json()), headers={"If-Match": '"another"'})
    assert (refused.status_code, refused["ETag"]) == (412, shown["ETag"]), refused.content
    assert api.get(target).json() == shown.json()
    passed = getattr(api, method)(target, _body_of(path, method, shown.json()), headers={"If-Match": shown["ETag"]})
    assert passed.status_code != 412, passed.content


def _body_of(path: str, method: str, shown: dict[str, Any]) -> dict[str, Any]:
    """A valid edit that changes nothing: what the view names as edited, as it is."""
    view = resolve(path.replace("{id}", str(shown["id"]))).func
    return {} if method == "delete" else {name: shown[name] for name in view.cls.edited_fields}


@pytest.mark.parametrize(
    ("path", "method", "operation"),
    TOLD_EDITS,
    ids=[f"{method} {path}" for path, method in EDITS],
)
def test_the_openapi_document_tells_of_if_match(path: str, method: str, operation: dict[str, Any]) -> None:
    headers = [one["name"] for one in operation["parameters"] if one["in"] == "header"]
    assert "If-Match" in headers
    assert "412" in operation["responses"]
    reading = next(one for where, verb, one in OPERATIONS if (where, verb) == (path, "get"))
    assert "ETag" in reading["responses"]["200"]["headers"]
    assert "304" in reading["responses"]
    assert "If-None-Match" in [one["name"] for one in reading["parameters"] if one["in"] == "header"]
