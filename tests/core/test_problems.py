"""Every refusal of the API is an RFC 9457 problem document with a stable code and the request's id."""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest
from django.db import OperationalError
from django.test import override_settings
from rest_framework.test import APIClient

from apps.organizations import services
from apps.organizations.models import Project
from config.asgi import control_plane

ID = "req_from_the_caller"
MEMBERS = {"type", "title", "status", "detail", "code", "request_id", "errors"}


def check(document: dict[str, Any], content_type: str, status: int, code: str) -> None:
    assert content_type == "application/problem+json"
    assert set(document) >= MEMBERS
    assert (document["status"], document["title"]) == (status, HTTPStatus(status).phrase)
    assert (document["code"], document["type"]) == (code, f"urn:modelyard:error:{code}")
    assert document["request_id"] == ID
    assert document["detail"]


def wrong_json(api: Any) -> Any:
    return api.generic("POST", "/api/v1/projects/", b'{"name": ', "application/json", headers={"X-Request-Id": ID})


def unusable_condition(api: Any) -> Any:
    project = api.post("/api/v1/projects/", {"name": "Churn"})
    return api.patch(project["Location"], {"name": "b"}, headers={"If-Match": "unquoted", "X-Request-Id": ID})


def another_state(api: Any) -> Any:
    project = api.post("/api/v1/projects/", {"name": "Churn"})
    return api.patch(project["Location"], {"name": "b"}, headers={"If-Match": '"other"', "X-Request-Id": ID})


def name_taken(api: Any) -> Any:
    api.post("/api/v1/projects/", {"name": "Churn"})
    return api.post("/api/v1/projects/", {"name": "Churn"}, headers={"X-Request-Id": ID})


def sent(method: str, path: str, body: Any = None, **headers: str) -> Callable[[Any], Any]:
    def send(api: Any) -> Any:
        return getattr(api, method)(path, body, headers={"X-Request-Id": ID, **headers})

    return send


def text(api: Any) -> Any:
    return api.generic("POST", "/api/v1/projects/", b"name: x", "text/plain", headers={"X-Request-Id": ID})


CASES = {
    "malformed JSON": (wrong_json, 400, "parse_error"),
    "malformed If-Match": (unusable_condition, 400, "precondition_unreadable"),
    "unknown page of the API": (sent("get", "/api/v1/projcts/"), 404, "not_found"),
    "unknown path outside any version": (sent("get", "/api/v9/projects/"), 404, "not_found"),
    "unknown id": (sent("get", "/api/v1/projects/01890000-0000-7000-8000-000000000000/"), 404, "not_found"),
    "an id that is none": (sent("get", "/api/v1/projects/seven/"), 404, "not_found"),
    "unknown cursor": (sent("get", "/api/v1/projects/?cursor=nonsense"), 404, "not_found"),
    "another method": (sent("put", "/api/v1/projects/", {}), 405, "method_not_allowed"),
    "another format": (sent("get", "/api/v1/projects/", Accept="application/xml"), 406, "not_acceptable"),
    "a name that is taken": (name_taken, 409, "project_name_taken"),
    "another state": (another_state, 412, "precondition_failed"),
    "another content type": (text, 415, "unsupported_media_type"),
    "wrong fields": (sent("post", "/api/v1/projects/", {}), 422, "invalid_input"),
    "a wrong filter": (sent("get", "/api/v1/datasets/?project=seven"), 422, "invalid_input"),
}


@pytest.mark.django_db
@pytest.mark.parametrize("case", CASES)
def test_a_refusal_is_a_problem_document(case: str, api_owner: Any) -> None:
    send, status, code = CASES[case]
    answer = send(api_owner)
    assert answer.status_code == status, answer.content
    check(answer.json(), answer["Content-Type"], status, code)
    assert answer["X-Request-Id"] == ID


@pytest.mark.django_db
def test_what_a_role_may_not_do_is_403(api_viewer: Any) -> None:
    answer = sent("post", "/api/v1/projects/", {"name": "x"})(api_viewer)
    check(answer.json(), answer["Content-Type"], 403, "permission_missing")


@pytest.mark.django_db
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer my_nonsense"}, {"Authorization": "Basic eA=="}])
def test_who_does_not_say_who_it_is_gets_401(headers: dict[str, str], client: Any) -> None:
    answer = sent("get", "/api/v1/projects/", **headers)(client)
    check(answer.json(), answer["Content-Type"], 401, "not_authenticated")
    assert answer["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.django_db
def test_too_many_attempts_to_sign_in_are_429_and_say_how_long_to_wait(owner: Any) -> None:
    client = APIClient()
    client.default_format = "json"
    wrong = {"email": owner.email, "password": "not the password"}
    for _ in range(30):
        answer = sent("post", "/api/v1/auth/token/", wrong)(client)
        if answer.status_code != 401:
            break
    check(answer.json(), answer["Content-Type"], 429, "too_many_attempts")
    assert int(answer["Retry-After"]) > 0


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (RuntimeError("a secret detail"), 500, "unexpected"),
        (OperationalError("connection to server at 10.1.2.3 failed"), 503, "database_unavailable"),
    ],
)
def test_a_crash_tells_its_id_and_keeps_its_reason(
    error: Exception, status: int, code: str, api_owner: Any, in_acme: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        Project.objects.create(name="half done")
        raise error

    monkeypatch.setattr(services, "create_project", fail)
    api_owner.raise_request_exception = False
    answer = sent("post", "/api/v1/projects/", {"name": "x"})(api_owner)
    assert answer.status_code == status
    check(answer.json(), answer["Content-Type"], status, code)
    assert str(error) not in answer.content.decode()
    assert ("Retry-After" in answer) == (status == 503)
    assert not Project.objects.exists()


@pytest.mark.django_db
@override_settings(ALLOWED_HOSTS=["testserver"])
def test_a_request_that_django_refuses_to_read_is_400(api_owner: Any) -> None:
    answer = sent("get", "/api/v1/projects/", Host="elsewhere.example")(api_owner)
    check(answer.json(), answer["Content-Type"], 400, "request_unreadable")


@pytest.mark.django_db
@pytest.mark.parametrize("accept", ["text/html", "text/html,application/xhtml+xml;q=0.9", "text/html;q=0.8"])
def test_a_browser_reads_the_api_as_json(accept: str, api_owner: Any) -> None:
    answer = api_owner.get("/api/v1/projects/", headers={"Accept": accept})
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    refused = sent("get", "/api/v1/projcts/", Accept=accept)(api_owner)
    check(refused.json(), refused["Content-Type"], 404, "not_found")


async def test_a_body_that_is_too_large_is_413_before_it_is_read() -> None:
    told: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        raise AssertionError("nobody should read this")

    async def send(message: Any) -> None:
        told.append(message)

    headers = [(b"content-length", b"20000000"), (b"x-request-id", ID.encode())]
    scope = {"type": "http", "method": "POST", "path": "/api/v1/projects/", "headers": headers, "query_string": b""}
    await control_plane(scope, receive, send)
    content_type = dict(told[0]["headers"])[b"content-type"].decode()
    check(json.loads(told[1]["body"]), content_type, 413, "body_too_large")
