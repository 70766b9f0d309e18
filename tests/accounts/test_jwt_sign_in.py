"""Signing in by the API: what is asked, what is told, and how often one may try."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core.cache import cache
from django.db import connections
from django.test import Client, RequestFactory

from apps.accounts.models import IdempotentRequest, RefreshFamily
from apps.organizations import idempotency
from tests.accounts.signing import AUTH, ask_token, program, refresh
from tests.factories.people import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_attempts() -> None:
    cache.clear()


@pytest.fixture
def person() -> Any:
    return UserFactory(email="ada@acme.test")


def told(answer: Any) -> Any:
    """An answer without what differs from call to call."""
    return answer.status_code, {**answer.json(), "request_id": ""}, answer["WWW-Authenticate"]


def with_totp(user: Any) -> str:
    """Give the person an authenticator app; its secret."""
    secret = totp.generate_totp_secret()
    totp.TOTP.activate(user, secret)
    return secret


def code_of(secret: str) -> str:
    return totp.format_hotp_value(totp.hotp_value(secret, next(totp.yield_hotp_counters_from_time())))


def test_the_address_may_be_written_in_capitals(person: Any) -> None:
    assert ask_token("Ada@Acme.TEST").status_code == 200


def test_s8_every_way_to_be_wrong_is_answered_alike(person: Any) -> None:
    UserFactory(email="gone@acme.test", is_active=False)
    UserFactory(email="unproven@acme.test", proven=False)
    answers = [
        ask_token("ada@acme.test", "wrong password"),
        ask_token("nobody@acme.test"),
        ask_token("gone@acme.test"),
        ask_token("unproven@acme.test"),
    ]
    assert [told(answer) for answer in answers] == [told(answers[0])] * 4
    assert (answers[0].status_code, answers[0].json()["code"]) == (401, "credentials_wrong")
    assert not RefreshFamily.objects.exists()


def test_s8_an_unknown_address_costs_as_many_hashings_as_a_known_one(
    person: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashings: list[str] = []
    encode = MD5PasswordHasher.encode

    def counted(self: Any, password: str, salt: str) -> str:
        hashings.append(password)
        return encode(self, password, salt)

    monkeypatch.setattr(MD5PasswordHasher, "encode", counted)
    counts = []
    for email in ("ada@acme.test", "nobody@acme.test"):
        hashings.clear()
        ask_token(email, "wrong password")
        counts.append(len(hashings))
    assert counts[0] == counts[1] > 0


def test_s8_guessing_one_account_is_limited_from_wherever_it_is_tried(person: Any) -> None:
    def guess(password: str, number: int) -> Any:
        body = {"email": person.email, "password": password}
        return program().post(f"{AUTH}/token/", body, REMOTE_ADDR=f"203.0.113.{number}")

    assert [guess("wrong", number).status_code for number in range(6)] == [401] * 5 + [429]
    refused = guess(PASSWORD, 7)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_attempts")
    assert refused["Content-Type"] == "application/problem+json"
    assert int(refused["Retry-After"]) > 0
    assert refused["Retry-After"] in refused.json()["detail"]


def test_s8_guessing_many_accounts_from_one_address_is_limited_whatever_it_claims_to_be(db: None) -> None:
    statuses = []
    for number in range(12):
        claims = {"X-Forwarded-For": f"198.51.100.{number}", "X-Real-IP": f"198.51.100.{number}"}
        body = {"email": f"person{number}@acme.test", "password": "wrong"}
        statuses.append(program().post(f"{AUTH}/token/", body, headers=claims, REMOTE_ADDR="203.0.113.9").status_code)
    assert statuses.count(401) == 10
    assert statuses[-2:] == [429, 429]


def test_s8_the_page_and_the_api_count_together(person: Any) -> None:
    browser = Client()
    for number in range(5):
        browser.post("/accounts/login/", {"login": person.email, "password": f"wrong {number}"})
    assert ask_token(person.email).status_code == 429


def test_s8_right_sign_ins_are_limited_by_address_too(person: Any) -> None:
    assert [ask_token(person.email).status_code for _ in range(31)] == [200] * 30 + [429]


def test_right_sign_ins_are_not_counted_as_failed(person: Any) -> None:
    assert {ask_token(person.email).status_code for _ in range(8)} == {200}


def test_the_second_factor_is_asked_for_after_the_right_password_only(person: Any) -> None:
    with_totp(person)
    assert ask_token(person.email, "wrong password").json()["code"] == "credentials_wrong"
    asked = ask_token(person.email)
    assert (asked.status_code, asked.json()["code"]) == (401, "second_factor_needed")
    assert not RefreshFamily.objects.exists()


def test_a_code_of_the_app_signs_in_once(person: Any) -> None:
    code = code_of(with_totp(person))
    assert ask_token(person.email, code="000000").json()["code"] == "second_factor_wrong"
    assert ask_token(person.email, code=code).status_code == 200
    assert ask_token(person.email, code=code).json()["code"] == "second_factor_wrong"


def test_a_recovery_code_signs_in_once(person: Any) -> None:
    with_totp(person)
    code = RecoveryCodes.activate(person).get_unused_codes()[0]
    assert ask_token(person.email, code=code).status_code == 200
    assert ask_token(person.email, code=code).json()["code"] == "second_factor_wrong"


def test_s8_guessing_codes_stops_the_right_one_too(person: Any) -> None:
    secret = with_totp(person)
    for number in range(30):
        ask_token(person.email, code=f"{number:06}")
    refused = ask_token(person.email, code=code_of(secret)).json()["code"]
    assert refused in {"second_factor_wrong", "too_many_attempts"}, "by the account's limit or by the address's"
    assert not RefreshFamily.objects.exists()


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"[]", "application/json", 422),
        (b"{}", "application/json", 422),
        (b'{"email": "a@b.test", "password": "x\\u0000"}', "application/json", 422),
        (b'{"email": "\\ud800@b.test", "password": "x"}', "application/json", 422),
        (b"email=a@b.test&password=x", "application/x-www-form-urlencoded", 415),
    ],
)
@pytest.mark.parametrize("key", ["", "k1"])
def test_what_is_no_sign_in_is_a_problem_document(
    db: None, body: bytes, content_type: str, status: int, key: str
) -> None:
    headers = {"Idempotency-Key": key} if key else {}
    answer = program().generic("POST", f"{AUTH}/token/", body, content_type, headers=headers)
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    assert not IdempotentRequest.objects.exists(), "a stranger's refusal is not kept"


@pytest.mark.parametrize("path", ["token", "refresh", "revoke"])
def test_signing_in_takes_posts_only_and_is_never_stored_by_caches(db: None, path: str) -> None:
    for method in ("get", "put", "patch", "delete"):
        answer = getattr(program(), method)(f"{AUTH}/{path}/")
        assert (answer.status_code, answer["Cache-Control"]) == (405, "no-store")
    assert program().post(f"{AUTH}/{path}/", {})["Cache-Control"] == "no-store"


def test_a_cookie_neither_helps_nor_hinders_signing_in(person: Any) -> None:
    browser = program()
    browser.force_login(UserFactory())
    answer = browser.post(f"{AUTH}/token/", {"email": person.email, "password": PASSWORD})
    assert answer.status_code == 200
    assert RefreshFamily.objects.get().user == person


def test_a_lost_answer_to_a_refresh_is_given_again_without_ending_the_family(person: Any) -> None:
    first = ask_token(person.email).json()
    second = refresh(first["refresh"], key="r1")
    again = refresh(first["refresh"], key="r1")
    assert (again.status_code, again.content, again["Idempotency-Replayed"]) == (200, second.content, "true")
    assert again["Cache-Control"] == "no-store"
    assert refresh(second.json()["refresh"], key="r2").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_refresh_sent_ten_times_at_once_with_one_key_is_made_once(person: Any) -> None:
    pair = ask_token(person.email).json()
    start, answers = threading.Barrier(10), []

    def send() -> None:
        start.wait()
        answers.append(refresh(pair["refresh"], key="r1"))
        connections.close_all()

    threads = [threading.Thread(target=send) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} <= {200, 409}
    (content,) = {answer.content for answer in answers if answer.status_code == 200}
    assert refresh(json.loads(content)["refresh"]).status_code == 200


def test_without_its_key_a_repeated_refresh_ends_the_family(person: Any) -> None:
    first = ask_token(person.email).json()
    second = refresh(first["refresh"], key="r1").json()
    assert refresh(first["refresh"], key="r9").json()["code"] == "refresh_token_reused"
    assert refresh(second["refresh"]).status_code == 401


def test_a_lost_answer_to_a_sign_in_is_given_again(person: Any) -> None:
    first, again = ask_token(person.email, key="s1"), ask_token(person.email, key="s1")
    assert (again.content, again["Idempotency-Replayed"]) == (first.content, "true")
    assert RefreshFamily.objects.count() == 1


def test_another_body_under_the_same_key_is_refused(person: Any) -> None:
    pair = ask_token(person.email, key="s1").json()
    other = ask_token(person.email, "another password", key="s1")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    newer = refresh(pair["refresh"], key="r1").json()
    other = refresh(newer["refresh"], key="r1")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_s8_a_kept_answer_is_no_way_to_guess_the_password(person: Any) -> None:
    ask_token(person.email, key="s1")
    statuses = [ask_token(person.email, f"wrong {number}", key="s1").status_code for number in range(6)]
    assert statuses == [422] * 5 + [429]
    assert ask_token(person.email, key="s1").status_code == 429


def test_a_refused_sign_in_is_tried_anew_under_the_same_key(person: Any) -> None:
    assert ask_token(person.email, "wrong password", key="s1").status_code == 401
    assert ask_token(person.email, key="s1").status_code == 200


def test_the_same_key_of_two_accounts_and_two_families_does_not_meet(person: Any) -> None:
    other = UserFactory()
    pairs = [ask_token(user.email, key="1").json() for user in (person, other)]
    assert pairs[0] != pairs[1]
    refreshed = [refresh(pair["refresh"], key="1") for pair in pairs]
    assert [answer.status_code for answer in refreshed] == [200, 200]
    assert refreshed[0].content != refreshed[1].content


@pytest.mark.parametrize("path", ["revoke", "refresh"])
def test_an_address_that_proves_nothing_keeps_no_answer(path: str, person: Any) -> None:
    body = {"email": person.email, "refresh": "nothing of ours"}
    program().post(f"{AUTH}/{path}/", body, headers={"Idempotency-Key": "s1"})
    assert not IdempotentRequest.objects.exists()


@pytest.mark.parametrize("key", ["", "x" * 201, "a\tb"])
def test_an_unusable_key_is_refused(person: Any, key: str) -> None:
    body = {"email": person.email, "password": PASSWORD}
    assert program().post(f"{AUTH}/token/", body, headers={"Idempotency-Key": key}).status_code == 400


def test_s3_nothing_kept_tells_a_token_a_password_or_who_asked(person: Any) -> None:
    pair = ask_token(person.email, key="s1").json()
    refresh(pair["refresh"], key="r1")
    for row in [*IdempotentRequest.objects.values(), *RefreshFamily.objects.values()]:
        stored = repr({name: bytes(value) if name == "body" else value for name, value in row.items()})
        for secret in (pair["access"], pair["refresh"], PASSWORD, person.email):
            assert secret not in stored
        assert json.dumps(pair)[:40] not in stored


def test_s3_a_fingerprint_cannot_be_guessed_against_without_the_installations_key(settings: Any) -> None:
    request = RequestFactory().post(f"{AUTH}/token/", {"password": PASSWORD}, content_type="application/json")
    ours = idempotency.fingerprint(request)
    settings.SECRET_KEY = "another installation's"
    assert idempotency.fingerprint(request) != ours
