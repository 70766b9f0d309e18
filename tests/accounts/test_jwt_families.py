"""A program's sign-in: a pair of tokens, a chain of refreshes, and every way in which it ends."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connections
from django.db.models.functions import Now
from django.urls import reverse
from rest_framework.test import APIClient

from apps.accounts.jwt import errors, families, keys
from apps.accounts.models import RefreshFamily
from tests.accounts.signing import AUTH, ask_token, program, refresh, signed_in
from tests.factories.people import UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_attempts() -> None:
    cache.clear()


def me(access: str) -> Any:
    return program(access).get("/api/v1/me/")


def test_a_pair_opens_the_api_and_is_refreshed(acme: Any, developer: Any) -> None:
    answer = ask_token(developer.email)
    first = answer.json()
    assert (answer.status_code, first["token_type"], first["expires_in"]) == (200, "Bearer", 300)
    assert answer["Cache-Control"] == "no-store"
    assert me(first["access"]).json()["label"] == developer.email
    second = refresh(first["refresh"]).json()
    assert second["refresh"] != first["refresh"]
    assert me(second["access"]).status_code == me(first["access"]).status_code == 200


def test_an_access_token_is_no_refresh_token_and_the_other_way_round(acme: Any, developer: Any) -> None:
    pair = signed_in(developer)
    assert refresh(pair["access"]).json()["code"] == "refresh_token_invalid"
    answer = me(pair["refresh"])
    assert (answer.status_code, answer.json()["code"]) == (401, "access_token_invalid")
    assert 'error="invalid_token"' in answer["WWW-Authenticate"]


def test_a_used_refresh_token_ends_the_thiefs_and_the_owners_chain(acme: Any, developer: Any) -> None:
    first = signed_in(developer)
    second = refresh(first["refresh"]).json()
    again = refresh(first["refresh"])
    assert (again.status_code, again.json()["code"]) == (401, "refresh_token_reused")
    assert RefreshFamily.objects.get().revoked_because == "reuse"
    assert refresh(second["refresh"]).json()["code"] == "refresh_token_invalid"
    assert me(second["access"]).status_code == me(first["access"]).status_code == 401


def test_one_family_ends_without_the_persons_others(acme: Any, developer: Any) -> None:
    one, other = signed_in(developer), signed_in(developer)
    assert program().post(f"{AUTH}/revoke/", {"refresh": one["refresh"]}).status_code == 204
    assert me(one["access"]).status_code == 401
    assert me(other["access"]).status_code == 200
    assert [family.pk for family in families.families_of(developer)] == [
        family.pk for family in RefreshFamily.objects.filter(revoked_at__isnull=True)
    ]


@pytest.mark.parametrize("text", ["nonsense", "a.b.c", "x" * 4096])
def test_revoking_anything_is_answered_alike(db: None, text: str) -> None:
    answer = program().post(f"{AUTH}/revoke/", {"refresh": text})
    assert (answer.status_code, answer.content) == (204, b"")


def test_a_used_refresh_token_still_signs_its_program_out(acme: Any, developer: Any) -> None:
    first = signed_in(developer)
    second = refresh(first["refresh"]).json()
    program().post(f"{AUTH}/revoke/", {"refresh": first["refresh"]})
    assert refresh(second["refresh"]).status_code == 401


def test_a_new_password_ends_every_family(acme: Any, developer: Any) -> None:
    pair = signed_in(developer)
    developer.set_password("quite another password")
    developer.save()
    assert me(pair["access"]).status_code == refresh(pair["refresh"]).status_code == 401
    assert not families.families_of(developer).exists()


def test_somebody_deactivated_is_refused_at_once(acme: Any, developer: Any) -> None:
    pair = signed_in(developer)
    developer.is_active = False
    developer.save()
    assert me(pair["access"]).status_code == refresh(pair["refresh"]).status_code == 401
    assert ask_token(developer.email).json()["code"] == "credentials_wrong"


def test_revoke_families_ends_all_of_one_person_and_nobody_elses(acme: Any, developer: Any, owner: Any) -> None:
    mine, theirs = [signed_in(developer), signed_in(developer)], signed_in(owner)
    assert families.revoke_families(developer, because="signed_out_everywhere") == 2
    assert [me(pair["access"]).status_code for pair in [*mine, theirs]] == [401, 401, 200]
    assert families.revoke_families(developer, because="signed_out_everywhere") == 0


def test_logging_out_everywhere_ends_the_programs_and_logging_out_other_browsers_does_not(
    acme: Any, owner: Any, as_owner: Any
) -> None:
    access = signed_in(owner)["access"]
    as_owner.post(reverse("accounts:session-end-all"))
    assert me(access).status_code == 200
    as_owner.post(reverse("accounts:session-end-all"), {"scope": "all"})
    assert me(access).status_code == 401


def test_no_refresh_moves_the_end_of_a_family(acme: Any, developer: Any) -> None:
    pair = signed_in(developer)
    before = RefreshFamily.objects.get().expires_at
    pair = refresh(pair["refresh"]).json()
    assert RefreshFamily.objects.get().expires_at == before
    RefreshFamily.objects.update(expires_at=Now())
    assert refresh(pair["refresh"]).status_code == me(pair["access"]).status_code == 401


def test_an_access_token_does_not_outlive_its_family(acme: Any, developer: Any) -> None:
    pair = signed_in(developer)
    family = RefreshFamily.objects.get()
    RefreshFamily.objects.update(expires_at=family.created_at + (family.expires_at - family.created_at) / 20_000)
    assert 0 < refresh(pair["refresh"]).json()["expires_in"] < 300


def test_a_family_that_has_ended_is_forgotten(acme: Any, developer: Any) -> None:
    signed_in(developer)
    assert families.forget_ended() == 0
    RefreshFamily.objects.update(expires_at="2020-01-01T00:00:00Z")
    assert families.forget_ended() == 1


def test_a_family_remembers_from_where_it_was_used_last(acme: Any, developer: Any) -> None:
    pair = signed_in(developer)
    body = {"refresh": pair["refresh"]}
    program().post(f"{AUTH}/refresh/", body, headers={"User-Agent": "nightly/2"}, REMOTE_ADDR="203.0.113.9")
    family = families.families_of(developer).get()
    assert (family.address, family.agent) == ("203.0.113.9", "nightly/2")


def test_an_access_token_costs_one_query(
    acme: Any,
    developer: Any,
    django_assert_num_queries: Any,
    django_capture_on_commit_callbacks: Any,
    request: pytest.FixtureRequest,
) -> None:
    request.addfinalizer(keys.forget)
    with django_capture_on_commit_callbacks(execute=True):  # so that the keys are remembered, as after a first request
        pair = families.start_family(developer)
    with django_assert_num_queries(1):
        assert families.person_behind(pair.access) == developer


def test_a_bearer_is_judged_without_the_cookies_beside_it(acme: Any, as_owner: Any, developer: Any) -> None:
    ended = signed_in(developer)
    families.revoke_families(developer, because="signed_out")
    answer = as_owner.get("/api/v1/me/", headers={"Authorization": f"Bearer {ended['access']}"})
    assert answer.status_code == 401


def test_a_bearer_writes_without_a_csrf_token(acme: Any, owner: Any) -> None:
    client = program(signed_in(owner)["access"])
    assert client.patch("/api/v1/organization/", {"name": "Acme Ltd"}).status_code == 200


def test_a_session_still_needs_a_csrf_token(acme: Any, owner: Any) -> None:
    browser = APIClient(enforce_csrf_checks=True)
    browser.force_login(owner)
    assert browser.patch("/api/v1/organization/", {"name": "Mine"}, format="json").status_code == 403
    assert browser.post("/api/v1/organizations/", {"name": "Mine"}, format="json").status_code == 403


def test_s1_an_access_token_opens_no_organization_that_its_person_is_not_in(
    acme: Any, globex: Any, developer: Any
) -> None:
    access = signed_in(developer)["access"]
    assert program(access, HTTP_MODELYARD_ORGANIZATION="acme").get("/api/v1/me/").status_code == 200
    assert program(access, HTTP_MODELYARD_ORGANIZATION="globex").get("/api/v1/me/").status_code == 404


def test_s2_an_access_token_does_what_the_persons_role_may(acme: Any, viewer: Any) -> None:
    answer = program(signed_in(viewer)["access"]).patch("/api/v1/organization/", {"name": "Mine"})
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_missing")


@pytest.mark.django_db(transaction=True)
def test_of_a_hundred_refreshes_at_once_exactly_one_wins() -> None:
    pair = families.start_family(UserFactory())
    start = threading.Barrier(20)
    outcomes: list[str] = []

    def refresh_five_times() -> None:
        start.wait()
        for _ in range(5):
            try:
                outcomes.append(families.rotate(pair.refresh).refresh)
            except (errors.RefreshTokenReused, errors.RefreshTokenInvalid) as refused:
                outcomes.append(refused.code)
        connections.close_all()

    threads = [threading.Thread(target=refresh_five_times) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 100
    assert len([o for o in outcomes if o not in {"refresh_token_reused", "refresh_token_invalid"}]) == 1
    assert outcomes.count("refresh_token_reused") == 1
    assert RefreshFamily.objects.get().revoked_because == "reuse"
