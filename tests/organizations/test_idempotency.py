"""An Idempotency-Key makes a POST happen once."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connections

from apps.accounts.jwt.errors import TooManyAttempts
from apps.core import tenancy
from apps.core.actors import Actor
from apps.organizations import idempotency, services
from apps.organizations.models import ApiToken, IdempotentRequest
from tests.architecture.doors import OPERATIONS, operation_path
from tests.factories import world

BODY = {"name": "ci", "scopes": ["datasets.read"]}


def post(api: Any, key: str, body: Any = BODY) -> Any:
    return api.post("/api/v1/tokens/", body, headers={"Idempotency-Key": key})


@pytest.mark.django_db
def test_the_same_key_and_body_give_the_same_answer_and_one_effect(api_owner: Any, in_acme: Any) -> None:
    first, second = post(api_owner, "k1"), post(api_owner, "k1")
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    assert second["Idempotency-Replayed"] == "true"
    assert ApiToken.objects.filter(name="ci").count() == 1


@pytest.mark.django_db
def test_the_same_key_with_another_body_is_refused(api_owner: Any) -> None:
    post(api_owner, "k1")
    response = post(api_owner, "k1", {**BODY, "name": "other"})
    assert (response.status_code, response.json()["code"]) == (422, "idempotency_key_reused")


@pytest.mark.django_db
def test_s3_a_remembered_answer_does_not_show_its_token_in_the_database(api_owner: Any, in_acme: Any) -> None:
    text = post(api_owner, "k1").json()["token"]
    assert text.encode() not in bytes(IdempotentRequest.objects.get().body)
    assert post(api_owner, "k1").json()["token"] == text


@pytest.mark.django_db
def test_an_answer_moved_to_another_key_is_not_given(api_owner: Any, in_acme: Any) -> None:
    post(api_owner, "k1")
    IdempotentRequest.objects.update(key="k2")
    assert post(api_owner, "k2").status_code == 422


def upload(api: Any, content: bytes) -> Any:
    body = {"name": "numbers", "file": SimpleUploadedFile("numbers.csv", content)}
    return api.post("/api/v1/datasets/", body, format="multipart", headers={"Idempotency-Key": "k1"})


@pytest.mark.django_db
def test_another_file_of_the_same_length_is_another_body(api_owner: Any, in_acme: Any) -> None:
    first, again, other = (upload(api_owner, content) for content in (b"a,b\n1,2\n", b"a,b\n1,2\n", b"a,b\n1,3\n"))
    assert (first.status_code, again.status_code, again["Idempotency-Replayed"]) == (202, 202, "true")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b" " * 6_000_000, "application/json", 413, "body_too_large"),
        (b"x", "multipart/form-data", 400, "parse_error"),
    ],
)
def test_a_body_that_cannot_be_read_is_a_problem_document(
    api_owner: Any, body: bytes, content_type: str, status: int, code: str
) -> None:
    answer = api_owner.generic("POST", "/api/v1/tokens/", body, content_type, headers={"Idempotency-Key": "k1"})
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    assert answer.json()["code"] == code


@pytest.mark.django_db
def test_a_refused_request_gives_the_same_refusal_again(api_owner: Any, in_acme: Any) -> None:
    first, second = (post(api_owner, "k1", {"name": "ci"}) for _ in range(2))
    assert first.status_code == second.status_code == 422
    assert first.content == second.content


@pytest.mark.django_db
def test_keys_of_two_callers_do_not_meet(api_owner: Any, api_developer: Any) -> None:
    assert post(api_owner, "k1").json()["id"] != post(api_developer, "k1").json()["id"]


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["", "x" * 201, "a\tb", "schlüssel"])
def test_an_unusable_key_is_refused(api_owner: Any, key: str) -> None:
    assert post(api_owner, key).status_code == 400


@pytest.mark.django_db
@pytest.mark.parametrize("path", [path for path, method, _ in OPERATIONS if method == "post"])
def test_every_post_answers_a_repeated_key_from_memory(path: str, acme: Any, actor: Actor, api_owner: Any) -> None:
    address = operation_path(path, world.build(acme, actor))
    first, again = (api_owner.post(address, {}, headers={"Idempotency-Key": "k1"}) for _ in range(2))
    assert "Idempotency-Replayed" not in first.headers
    if first.status_code < 500:  # of what failed on our side nothing is kept
        assert (again.status_code, again.content) == (first.status_code, first.content)
        assert again["Idempotency-Replayed"] == "true"


@pytest.mark.django_db
def test_a_refusal_that_passes_by_itself_is_not_kept(api_owner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise TooManyAttempts(seconds=9)

    with monkeypatch.context() as patched:
        patched.setattr(services, "create_token", refuse)
        assert post(api_owner, "k1").status_code == 429
    assert post(api_owner, "k1").status_code == 201


@pytest.mark.django_db
def test_old_answers_are_forgotten(api_owner: Any, in_acme: Any) -> None:
    post(api_owner, "k1")
    assert idempotency.forget_old() == 0
    IdempotentRequest.objects.update(created_at="2020-01-01T00:00:00Z")
    assert idempotency.forget_old() == 1


@pytest.mark.django_db(transaction=True)
def test_a_key_in_flight_is_refused_and_ten_at_once_make_one_row(api_owner: Any, acme: Any) -> None:
    answers: list[int] = []

    def call() -> None:
        from rest_framework.test import APIClient

        client = APIClient()
        client.default_format = "json"
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {api_owner.token}")
        answers.append(post(client, "k1").status_code)
        connections.close_all()

    threads = [threading.Thread(target=call) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(answers) <= {201, 409}
    assert 201 in answers
    with tenancy.scope(acme.pk):
        assert ApiToken.objects.filter(name="ci").count() == 1
