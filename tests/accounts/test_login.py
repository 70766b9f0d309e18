"""Signing in: limited however one disguises oneself, and leading nowhere but to our own pages."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from apps.accounts.tries import TooManyFailed
from apps.core.addresses import networks
from tests.accounts.browsers import is_signed_in, sign_in
from tests.factories.people import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db

WAIT = re.compile(r"Wait (5 minutes|4 minutes \d+ seconds)\b")
ELSEWHERE = [
    "//evil.example",
    "///evil.example",
    "https:evil.example",
    "https:///evil.example",
    "https://evil.example/",
    "https://testserver@evil.example/",
    "\\\\evil.example",
    "/\\evil.example",
    "/\t/evil.example",
    "javascript:alert(1)",
    " javascript:alert(1)",
    "data:text/html,x",
]


def disguise(number: int) -> dict[str, str]:
    """Headers with which a client claims to be somebody else each time."""
    address = f"198.51.100.{number}"
    return {
        "X-Forwarded-For": address,
        "X-Real-IP": address,
        "X-Client-IP": address,
        "CF-Connecting-IP": address,
        "Forwarded": f"for={address}",
        "Host": f"host{number}.example.test",
    }


@pytest.fixture
def person(db: None) -> Any:
    return UserFactory(email="person@example.test")


@pytest.fixture
def operator(db: None) -> Any:
    return UserFactory(email="operator@modelyard.test", is_staff=True, is_superuser=True)


class TestLimits:
    def test_s8_guessing_one_accounts_password_stops_the_right_one_too(self, person: Any, client: Client) -> None:
        for number in range(5):
            sign_in(client, person.email, f"wrong {number}", headers=disguise(number), REMOTE_ADDR=f"192.0.2.{number}")
        answer = sign_in(client, person.email, headers=disguise(99), REMOTE_ADDR="192.0.2.99")
        assert WAIT.search(answer.content.decode())
        assert not is_signed_in(client)

    def test_s8_an_address_that_guesses_at_many_accounts_is_stopped_whatever_it_claims_to_be(
        self, person: Any, client: Client
    ) -> None:
        for number in range(10):
            sign_in(client, f"somebody{number}@example.test", "wrong", headers=disguise(number))
        sign_in(client, person.email, headers=disguise(99))
        assert not is_signed_in(client)
        sign_in(client, person.email, REMOTE_ADDR="192.0.2.1")
        assert is_signed_in(client)

    def test_s8_behind_our_proxy_each_client_counts_and_what_it_claims_does_not(
        self, person: Any, client: Client, settings: Any
    ) -> None:
        settings.TRUSTED_PROXIES = networks(["127.0.0.0/8"])
        for number in range(10):
            chain = f"198.51.100.{number}, 203.0.113.7"
            sign_in(client, f"somebody{number}@example.test", "wrong", headers={"X-Forwarded-For": chain})
        sign_in(client, person.email, headers={"X-Forwarded-For": "198.51.100.99, 203.0.113.7"})
        assert not is_signed_in(client)
        sign_in(client, person.email, headers={"X-Forwarded-For": "203.0.113.8"})
        assert is_signed_in(client)

    def test_signing_in_rightly_does_not_use_up_the_tries(self, person: Any) -> None:
        for _ in range(8):
            browser = Client()
            sign_in(browser, person.email)
            assert is_signed_in(browser)

    def test_s8_the_consoles_own_login_which_limits_nobody_is_closed(self, operator: Any, client: Client) -> None:
        for number in range(7):
            body = {"username": operator.email, "password": f"wrong {number}"}
            answer = client.post("/admin/login/", body, headers=disguise(number))
            assert (answer.status_code, answer["Location"].partition("?")[0]) == (302, "/accounts/login/")
        client.post("/admin/login/", {"username": operator.email, "password": PASSWORD})
        assert not is_signed_in(client)

    @pytest.mark.parametrize("email", ["person@example.test", "unknown@example.test"])
    def test_s8_asking_for_resets_is_limited_and_told_alike(self, email: str, person: Any, client: Client) -> None:
        for number in range(5):
            answer = client.post("/accounts/password/reset/", {"email": email}, headers=disguise(number))
            assert answer.status_code == 302
        answer = client.post("/accounts/password/reset/", {"email": email}, headers=disguise(99))
        assert (answer.status_code, answer["Retry-After"]) == (429, "300")
        page = answer.content.decode()
        assert "Not so fast" in page
        assert WAIT.search(page)

    def test_s8_asking_for_many_peoples_resets_is_limited_by_address(self, client: Client) -> None:
        answers = [
            client.post("/accounts/password/reset/", {"email": f"p{n}@example.test"}, headers=disguise(n)).status_code
            for n in range(21)
        ]
        assert answers == [302] * 20 + [429]

    def test_s8_signing_up_is_limited_by_address(self, client: Client) -> None:
        body = {"email": "not an address", "password1": ""}
        answers = [client.post("/accounts/signup/", body, headers=disguise(n)).status_code for n in range(21)]
        assert answers == [200] * 20 + [429]

    def test_s8_proving_oneself_again_is_limited(self, person: Any, client: Client) -> None:
        client.force_login(person)
        for number in range(5):
            client.post("/accounts/reauthenticate/", {"password": f"wrong {number}"}, headers=disguise(number))
        answer = client.post("/accounts/reauthenticate/?next=/accounts/email/", {"password": PASSWORD})
        assert answer.status_code == 200
        assert WAIT.search(answer.content.decode())

    def test_s8_trying_the_old_password_of_an_open_browser_is_limited(self, person: Any, client: Client) -> None:
        client.force_login(person)
        body = {"oldpassword": "wrong", "password1": "another horse battery", "password2": "another horse battery"}
        answers = [client.post("/accounts/password/change/", body, headers=disguise(n)).status_code for n in range(6)]
        assert answers == [200] * 5 + [429]

    def test_how_long_to_wait_is_told_as_it_is_and_not_as_it_was_at_first(
        self, person: Any, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client.force_login(person)
        body = {"oldpassword": "wrong", "password1": "another horse battery", "password2": "another horse battery"}
        for _ in range(5):
            client.post("/accounts/password/change/", body)
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + 20)
        answer = client.post("/accounts/password/change/", body)
        assert (answer.status_code, answer["Retry-After"]) == (429, "40")
        assert b"Wait 40 seconds" in answer.content
        assert "Wait 4 minutes 10 seconds," in TooManyFailed(250).message


class TestWhereItLeads:
    def test_one_goes_on_where_one_wanted_to(self, person: Any, client: Client) -> None:
        answer = client.post("/accounts/login/", {"login": person.email, "password": PASSWORD, "next": "/o/acme/jobs/"})
        assert answer["Location"] == "/o/acme/jobs/"

    @pytest.mark.parametrize("target", ELSEWHERE)
    def test_s9_signing_in_leads_nowhere_else(self, target: str, person: Any, client: Client) -> None:
        body = {"login": person.email, "password": PASSWORD}
        assert client.post("/accounts/login/", {**body, "next": target})["Location"] == "/"
        assert client.get("/accounts/login/", {"next": target})["Location"] == "/"

    @pytest.mark.parametrize("target", ELSEWHERE)
    def test_s9_logging_out_leads_nowhere_else(self, target: str, person: Any, client: Client) -> None:
        client.force_login(person)
        assert client.post("/accounts/logout/", {"next": target})["Location"] == "/accounts/login/"
        assert client.post("/accounts/logout/", {"next": target})["Location"] == "/accounts/login/"

    @pytest.mark.parametrize("target", ELSEWHERE)
    def test_s9_signing_up_leads_nowhere_else(self, target: str, client: Client) -> None:
        body = {"email": "new@example.test", "password1": "another horse battery", "next": target}
        assert client.post("/accounts/signup/", body)["Location"] == "/accounts/confirm-email/"
        page = client.get("/accounts/signup/", {"next": target}).content.decode()
        assert not [link for link in re.findall(r'href="([^"]*)"', page) if link.startswith(target.strip())]

    @pytest.mark.parametrize("target", ELSEWHERE)
    def test_s9_proving_oneself_again_leads_nowhere_else(self, target: str, person: Any, client: Client) -> None:
        client.force_login(person)
        answer = client.post("/accounts/reauthenticate/", {"password": PASSWORD, "next": target})
        assert (answer.status_code, answer["Location"]) == (302, "/")

    @pytest.mark.parametrize("target", ELSEWHERE)
    def test_s9_the_consoles_login_leads_nowhere_else(self, target: str, client: Client) -> None:
        location = client.get("/admin/login/", {"next": target})["Location"]
        assert location.startswith("/accounts/login/?next=%2Fadmin%2Flogin%2F")


def account_addresses() -> Iterator[str]:
    """Every address below /accounts/, with something in place of its arguments."""

    def walk(resolver: URLResolver, route: str) -> Iterator[str]:
        for pattern in resolver.url_patterns:
            below = route + str(pattern.pattern)
            if isinstance(pattern, URLPattern):
                yield below
            else:
                yield from walk(pattern, below)

    for route in walk(get_resolver(), "/"):
        if route.startswith("/accounts/"):
            plain = re.sub(r"<uuid:\w+>", "00000000-0000-7000-8000-000000000000", route)
            plain = re.sub(r"\(\?P<\w+>.+?\)(?=[/-])", "1", plain)
            yield re.sub(r"<\w+:\w+>", "1", plain).replace("^", "").replace("$", "")


@pytest.mark.parametrize("path", sorted(set(account_addresses())))
def test_s9_nothing_about_an_account_is_done_from_another_site(path: str, person: Any) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(person)
    assert browser.post(path, {"next": "/"}).status_code == 403


@pytest.mark.django_db(databases=["default", "console"])
def test_only_operators_enter_the_console(operator: Any, client: Client) -> None:
    client.force_login(UserFactory(email="somebody@modelyard.test"))
    assert client.get("/admin/", follow=True).status_code == 403
    client.force_login(operator)
    assert client.get("/admin/").status_code == 200
