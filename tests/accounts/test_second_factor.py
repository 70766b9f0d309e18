"""Codes of an app, and recovery codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from django.core.cache import cache
from django.db import connection, connections
from django.test import Client

from apps.accounts import second_factor
from apps.core import sealing
from tests.factories.people import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db

STEP_S = 30
START = 1_800_000_000 // STEP_S * STEP_S


class Clock:
    """The time that codes are made and checked with."""

    def __init__(self) -> None:
        self.now = float(START)

    def time(self) -> float:
        return self.now

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"codes ask for {name}, which this clock has not")


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(totp, "time", clock)
    return clock


@pytest.fixture
def secret(owner: Any) -> str:
    text = totp.generate_totp_secret()
    totp.TOTP.activate(owner, text)
    return text


@pytest.fixture
def recovery_codes(owner: Any, secret: str) -> list[str]:
    return RecoveryCodes.activate(owner).generate_codes()


def code_at(secret: str, clock: Clock, steps: int = 0) -> str:
    return totp.format_hotp_value(totp.hotp_value(secret, int(clock.now) // STEP_S + steps))


def wrong_code(secret: str, clock: Clock) -> str:
    right = {code_at(secret, clock, steps) for steps in (-1, 0, 1)}
    return next(code for code in ("000000", "111111", "222222", "333333") if code not in right)


def enter_password(client: Client, person: Any) -> Any:
    return client.post("/accounts/login/", {"login": person.email, "password": PASSWORD})


def enter_code(client: Client, code: str) -> Any:
    return client.post("/accounts/2fa/authenticate/", {"code": code})


def is_signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


# Signing in


def test_the_password_alone_signs_nobody_in(acme: Any, owner: Any, secret: str, client: Client) -> None:
    answer = enter_password(client, owner)
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/2fa/authenticate/")
    assert not is_signed_in(client)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/o/acme/", 302),
        ("/o/acme/data/", 302),
        ("/accounts/2fa/", 302),
        ("/accounts/2fa/recovery-codes/", 302),
        ("/accounts/2fa/totp/deactivate/", 302),
        ("/accounts/2fa/webauthn/add/", 302),
        ("/accounts/email/", 302),
        ("/accounts/3rdparty/", 302),
        ("/admin/", 302),
        ("/api/v1/me/", 401),
        ("/api/v1/datasets/", 401),
    ],
)
def test_half_signed_in_is_not_signed_in(
    path: str, status: int, acme: Any, owner: Any, secret: str, client: Client
) -> None:
    enter_password(client, owner)
    answer = client.get(path, headers={"Modelyard-Organization": "acme"})
    assert answer.status_code == status
    if status == 302:
        assert answer["Location"].startswith(("/accounts/login/", "/accounts/reauthenticate/", "/admin/login/"))
        assert client.get(answer["Location"]).status_code in {200, 302}
    assert not is_signed_in(client)


def test_the_code_of_the_app_signs_in(acme: Any, owner: Any, secret: str, clock: Clock, client: Client) -> None:
    enter_password(client, owner)
    assert enter_code(client, code_at(secret, clock)).status_code == 302
    assert client.get("/o/acme/").status_code == 200


@pytest.mark.parametrize("steps", [-1, 1])
def test_a_clock_may_be_off_by_one_step(steps: int, owner: Any, secret: str, clock: Clock, client: Client) -> None:
    enter_password(client, owner)
    enter_code(client, code_at(secret, clock, steps))
    assert is_signed_in(client)


@pytest.mark.parametrize("steps", [-2, 2])
def test_a_code_of_another_time_is_wrong(steps: int, owner: Any, secret: str, clock: Clock, client: Client) -> None:
    enter_password(client, owner)
    answer = enter_code(client, code_at(secret, clock, steps))
    assert answer.status_code == 200
    assert b"This did not work" in answer.content
    assert not is_signed_in(client)


@pytest.mark.parametrize("later_s", [0, 29, 59])
def test_a_code_signs_in_once_even_if_the_cache_is_lost(
    later_s: int, owner: Any, secret: str, clock: Clock, client: Client
) -> None:
    code = code_at(secret, clock, 1)
    enter_password(client, owner)
    enter_code(client, code)
    assert is_signed_in(client)
    cache.clear()
    clock.now += later_s
    thief = Client()
    enter_password(thief, owner)
    enter_code(thief, code)
    assert not is_signed_in(thief)


def test_a_spent_code_spends_those_before_it(owner: Any, secret: str, clock: Clock) -> None:
    assert second_factor.spend(owner, code_at(secret, clock))
    assert second_factor.spend(owner, code_at(secret, clock, -1)) is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_the_code_that_set_an_app_up_is_spent_whatever_its_clock(
    steps: int, owner: Any, clock: Clock, client: Client
) -> None:
    enter_password(client, owner)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    text = client.get("/accounts/2fa/totp/activate/").context["form"].secret
    code = code_at(text, clock, steps)
    client.post("/accounts/2fa/totp/activate/", {"code": code})
    assert second_factor.is_enabled(owner)
    assert second_factor.spend(owner, code) is None


@pytest.mark.parametrize("kind", ["app", "recovery"])
@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_has_the_code(
    kind: str, owner: Any, secret: str, recovery_codes: list[str], clock: Clock
) -> None:
    code = code_at(secret, clock) if kind == "app" else recovery_codes[0]

    def attempt(_: int) -> bool:
        try:
            return second_factor.spend(owner, code) is not None
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(16))) == 1


# Limits


def test_s8_guessing_codes_stops_the_right_one_too(owner: Any, secret: str, clock: Clock, client: Client) -> None:
    enter_password(client, owner)
    for _ in range(5):
        enter_code(client, wrong_code(secret, clock))
    answer = enter_code(client, code_at(secret, clock))
    assert b"too many" in answer.content.lower()
    assert not is_signed_in(client)


def test_s8_the_limit_is_the_accounts_and_not_the_sessions(owner: Any, secret: str, clock: Clock) -> None:
    for number in range(5):
        client = Client(REMOTE_ADDR=f"203.0.113.{number}")
        enter_password(client, owner)
        enter_code(client, wrong_code(secret, clock))
    elsewhere = Client(REMOTE_ADDR="203.0.113.99", headers={"X-Forwarded-For": "198.51.100.7"})
    enter_password(elsewhere, owner)
    enter_code(elsewhere, code_at(secret, clock))
    assert not is_signed_in(elsewhere)


def test_s8_wrong_codes_of_one_person_leave_others_alone(
    owner: Any, developer: Any, secret: str, clock: Clock, client: Client
) -> None:
    enter_password(client, owner)
    for _ in range(5):
        enter_code(client, wrong_code(secret, clock))
    others_secret = totp.generate_totp_secret()
    totp.TOTP.activate(developer, others_secret)
    other = Client(REMOTE_ADDR="203.0.113.9")
    enter_password(other, developer)
    enter_code(other, code_at(others_secret, clock))
    assert is_signed_in(other)


# Recovery codes


def test_a_recovery_code_signs_in_once(
    owner: Any,
    recovery_codes: list[str],
    client: Client,
    mailoutbox: list[Any],
    django_capture_on_commit_callbacks: Any,
) -> None:
    enter_password(client, owner)
    with django_capture_on_commit_callbacks(execute=True):
        enter_code(client, recovery_codes[3])
    assert is_signed_in(client)
    [mail] = [mail for mail in mailoutbox if "recovery code was used" in mail.subject]
    assert mail.to == [owner.email]
    assert "9 are left" in mail.body
    again = Client()
    enter_password(again, owner)
    enter_code(again, recovery_codes[3])
    assert not is_signed_in(again)


def test_few_codes_left_are_warned_of(owner: Any, recovery_codes: list[str], client: Client) -> None:
    client.force_login(owner)
    assert b"Few recovery codes" not in client.get("/accounts/2fa/").content
    for code in recovery_codes[:7]:
        assert second_factor.spend(owner, code)
    assert b"Few recovery codes" in client.get("/accounts/2fa/").content


# At rest


def test_s3_secrets_lie_sealed_in_the_database(owner: Any, secret: str, recovery_codes: list[str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT type, data FROM mfa_authenticator")
        rows = {kind: json.loads(data) for kind, data in cursor.fetchall()}
    dump = json.dumps(rows)
    assert set(rows) == {"totp", "recovery_codes"}
    assert secret not in dump
    assert not any(code in dump for code in recovery_codes)
    seed = RecoveryCodes(Authenticator.objects.get(type="recovery_codes"))
    assert seed.generate_codes() == recovery_codes


def test_s3_a_secret_that_was_changed_opens_nothing(owner: Any, secret: str, clock: Clock) -> None:
    row = Authenticator.objects.get(type="totp")
    sealed = row.data["secret"]
    row.data["secret"] = ("B" if sealed[0] != "B" else "C") + sealed[1:]
    row.save()
    with pytest.raises(sealing.Unsealable):
        second_factor.spend(owner, code_at(secret, clock))


# Lost


@pytest.mark.django_db(databases=["default", "console"])
def test_the_operator_lets_somebody_in_who_has_lost_everything(
    owner: Any,
    developer: Any,
    recovery_codes: list[str],
    client: Client,
    mailoutbox: list[Any],
    django_capture_on_commit_callbacks: Any,
) -> None:
    totp.TOTP.activate(developer, totp.generate_totp_secret())
    client.force_login(UserFactory(email="operator@modelyard.test", is_staff=True, is_superuser=True))
    page = client.get("/admin/mfa/authenticator/")
    assert owner.email.encode() in page.content
    row = Authenticator.objects.get(user=owner, type="totp")
    assert row.data["secret"].encode() not in client.get(f"/admin/mfa/authenticator/{row.pk}/change/").content
    body = {"action": "remove_second_factor", "_selected_action": [row.pk]}
    asked = client.post("/admin/mfa/authenticator/", body).content.decode()
    assert f"{owner.email}: TOTP Authenticator, Recovery codes" in asked
    assert second_factor.is_enabled(owner)
    with django_capture_on_commit_callbacks(execute=True):
        assert client.post("/admin/mfa/authenticator/", {**body, "confirmed": "yes"}).status_code == 302
    assert not Authenticator.objects.filter(user=owner).exists()
    assert second_factor.is_enabled(developer)
    assert [(mail.to, mail.subject) for mail in mailoutbox] == [
        ([owner.email], "[Modelyard] Your second factor was removed")
    ]


def test_s3_the_console_shows_no_secrets_of_github_or_of_factors(client: Client) -> None:
    client.force_login(UserFactory(email="operator@modelyard.test", is_staff=True, is_superuser=True))
    for path in ("/admin/socialaccount/socialapp/", "/admin/socialaccount/socialtoken/"):
        assert client.get(path).status_code == 404


# For the API


def test_check_code_takes_a_code_once(owner: Any, secret: str, clock: Clock, in_a_request: Any) -> None:
    assert second_factor.is_enabled(owner)
    assert second_factor.check_code(owner, wrong_code(secret, clock)) is False
    assert second_factor.check_code(owner, code_at(secret, clock)) is True
    assert second_factor.check_code(owner, code_at(secret, clock)) is False
    assert Authenticator.objects.get(type="totp").last_used_at is not None


def test_s8_check_code_and_the_page_count_together(
    owner: Any, secret: str, clock: Clock, client: Client, in_a_request: Any
) -> None:
    for _ in range(5):
        assert second_factor.check_code(owner, wrong_code(secret, clock)) is False
    assert second_factor.check_code(owner, code_at(secret, clock)) is False
    enter_password(client, owner)
    enter_code(client, code_at(secret, clock))
    assert not is_signed_in(client)


def test_somebody_without_a_factor_has_none(owner: Any) -> None:
    assert not second_factor.is_enabled(owner)
    assert second_factor.spend(owner, "000000") is None


@pytest.fixture
def in_a_request(rf: Any) -> Iterator[None]:
    from allauth.core import context

    with context.request_context(rf.post("/api/v1/auth/token/")):
        yield
