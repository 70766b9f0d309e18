"""The organizations of the one who calls, and founding one: operations outside of each organization."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connections
from rest_framework.test import APIClient

from apps.accounts.jwt import families
from apps.accounts.models import IdempotentRequest
from apps.core import tenancy
from apps.organizations import idempotency, services
from apps.organizations.models import Membership, Organization
from tests.accounts.signing import program

pytestmark = pytest.mark.django_db

PATH = "/api/v1/organizations/"


@pytest.fixture
def programs(developer: Any) -> APIClient:
    """A program that the developer has signed in."""
    return program(families.start_family(developer).access)


def found(client: APIClient, name: str = "Initech", key: str = "", **body: Any) -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    return client.post(PATH, {"name": name, **body}, headers=headers)


def test_a_person_sees_where_they_belong_with_their_role(acme: Any, globex: Any, programs: APIClient) -> None:
    (row,) = programs.get(PATH).json()["results"]
    assert (row["id"], row["slug"], row["name"], row["role"]) == (str(acme.pk), "acme", "Acme", "developer")


def test_a_session_sees_the_same(acme: Any, as_developer: Any, programs: APIClient) -> None:
    assert as_developer.get(PATH).json() == programs.get(PATH).json()


def test_s1_an_outsider_sees_nothing_of_others(acme: Any, globex: Any, as_outsider: Any) -> None:
    answer = as_outsider.get(PATH)
    assert [row["slug"] for row in answer.json()["results"]] == ["globex"]
    assert str(acme.pk).encode() not in answer.content


def test_nobody_is_refused(acme: Any) -> None:
    for method in ("get", "post"):
        answer = getattr(program(), method)(PATH)
        assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")


def test_an_api_token_is_no_person(api_owner: Any) -> None:
    for method in ("get", "post"):
        answer = getattr(api_owner, method)(PATH)
        assert (answer.status_code, answer.json()["code"]) == (403, "personal_call_needed")
    assert Organization.objects.count() == 1


def test_the_list_pages_and_costs_the_same_for_one_and_for_three(
    developer: Any, programs: APIClient, django_assert_num_queries: Any
) -> None:
    def seen(queries: int) -> list[str]:
        with django_assert_num_queries(queries):
            return [row["slug"] for row in programs.get(PATH).json()["results"]]

    services.create_organization("One", developer, slug="one")
    programs.get(PATH)
    count = 5  # the keys, the family, the rows, and a savepoint around the view
    assert seen(count) == ["one"]
    for name in ("two", "three"):
        services.create_organization(name, developer, slug=name)
    assert seen(count) == ["three", "two", "one"]
    first = programs.get(PATH, {"page_size": 2}).json()
    assert [row["slug"] for row in first["results"]] == ["three", "two"]
    assert [row["slug"] for row in programs.get(first["next"]).json()["results"]] == ["one"]


def test_founding_makes_the_caller_its_owner(developer: Any, programs: APIClient) -> None:
    answer = found(programs, slug="initech")
    assert answer.status_code == 201
    assert (answer.json()["slug"], answer.json()["role"]) == ("initech", "owner")
    organization = Organization.objects.get(slug="initech")
    with tenancy.scope(organization.pk):
        assert Membership.objects.get().user == developer
    me = programs.get("/api/v1/me/", headers={"Modelyard-Organization": "initech"})
    assert me.json()["organization"]["id"] == str(organization.pk)


def test_an_address_is_made_from_the_name(programs: APIClient) -> None:
    assert found(programs, "Hooli & Sons").json()["slug"] == "hooli-sons"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"slug": "x"}, "slug"),
        ({"slug": "Not A Slug"}, "slug"),
        ({"slug": "-acme"}, "slug"),
        ({"slug": "x" * 41}, "slug"),
    ],
)
def test_bad_input_is_told_beside_its_field(programs: APIClient, body: dict[str, str], field: str) -> None:
    answer = found(programs, **body)
    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, [field])
    assert not Organization.objects.exists()


def test_a_taken_address_is_refused(acme: Any, programs: APIClient) -> None:
    answer = found(programs, slug="acme")
    assert (answer.status_code, answer.json()["code"]) == (409, "slug_taken")


def test_what_may_only_be_read_is_not_taken_from_the_body(acme: Any, programs: APIClient) -> None:
    answer = found(programs, id=str(acme.pk), role="billing", created_at="2020-01-01T00:00:00Z")
    assert answer.status_code == 201
    assert answer.json()["id"] != str(acme.pk)
    assert answer.json()["role"] == "owner"
    assert not answer.json()["created_at"].startswith("2020")


def test_the_same_key_and_body_found_one_organization(programs: APIClient) -> None:
    first, again = found(programs, key="k1"), found(programs, key="k1")
    assert (first.status_code, again.status_code, again["Idempotency-Replayed"]) == (201, 201, "true")
    assert first.content == again.content
    assert Organization.objects.count() == 1


def test_another_body_under_the_same_key_is_refused(programs: APIClient) -> None:
    found(programs, key="k1")
    answer = found(programs, "Hooli", key="k1")
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")


def test_a_person_is_the_same_caller_by_session_and_by_access_token(
    as_developer: Any, developer: Any, programs: APIClient
) -> None:
    first, again = (
        client.generic("POST", PATH, b'{"name": "Initech"}', "application/json", headers={"Idempotency-Key": "k1"})
        for client in (programs, as_developer)
    )
    assert (again.status_code, again.content, again["Idempotency-Replayed"]) == (201, first.content, "true")


def test_keys_of_two_people_do_not_meet(programs: APIClient, outsider: Any) -> None:
    others = program(families.start_family(outsider).access)
    assert found(programs, key="k1").json()["id"] != found(others, key="k1").json()["id"]


def test_s3_neither_the_answer_nor_the_caller_can_be_read_from_the_database(
    developer: Any, programs: APIClient
) -> None:
    found(programs, key="k1")
    row = IdempotentRequest.objects.get()
    assert b"Initech" not in bytes(row.body)
    assert str(developer.pk) not in row.caller


def test_old_answers_are_forgotten(programs: APIClient) -> None:
    found(programs, key="k1")
    assert idempotency.forget_old_personal() == 0
    IdempotentRequest.objects.update(created_at="2020-01-01T00:00:00Z")
    assert idempotency.forget_old_personal() == 1


@pytest.mark.django_db(transaction=True)
def test_a_key_in_flight_is_refused_and_ten_at_once_found_one_organization(developer: Any) -> None:
    access = families.start_family(developer).access
    start, answers = threading.Barrier(10), []

    def call() -> None:
        start.wait()
        answers.append(found(program(access), key="k1"))
        connections.close_all()

    threads = [threading.Thread(target=call) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {"idempotency_key_in_flight"}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert Organization.objects.count() == 1
