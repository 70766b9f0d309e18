"""Signing up: nobody gets in before an address is proven, and nobody learns who has an account."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth import hashers
from django.core import mail
from django.db import connection
from django.test import Client

from apps.accounts.models import User
from tests.accounts.browsers import is_signed_in, link_in, mails_to, path_of, sign_in
from tests.factories.people import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)

NEW = "new@example.test"


def sign_up(browser: Client, email: str, **options: Any) -> Any:
    return browser.post("/accounts/signup/", {"email": email, "password1": "another horse battery"}, **options)


@pytest.fixture
def hashings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One entry for each time that a password was hashed."""
    done: list[str] = []
    hasher = type(hashers.get_hasher())
    encode = hasher.encode

    def counted(self: Any, password: str, salt: str, *args: Any) -> str:
        done.append(password)
        return encode(self, password, salt, *args)

    monkeypatch.setattr(hasher, "encode", counted)
    return done


# What differs from one request to the next.
PASSING = re.compile(
    r"""(nonce|value|hx-headers)=("[^"]*"|'[^']*')|req_[0-9a-f]+|name="server-time" content="[^"]+""",
)


def told(answer: Any) -> tuple[int, str, str]:
    """An answer without what differs from one request to the next anyway."""
    text = PASSING.sub("", answer.content.decode())
    return answer.status_code, answer.get("Location", ""), re.sub(r"[\w.]+@example\.test", "", text)


def test_signing_up_lets_in_once_the_address_is_proven(client: Client) -> None:
    answer = sign_up(client, NEW)
    assert answer["Location"] == "/accounts/confirm-email/"
    assert not is_signed_in(client)
    (message,) = mails_to(NEW)
    confirm = path_of(link_in(message))
    assert client.get(confirm).status_code == 200
    assert client.post(confirm)["Location"] == "/"
    assert is_signed_in(client)
    assert client.get("/")["Location"] == "/welcome/"


def test_the_link_alone_lets_nobody_in_who_did_not_sign_up(client: Client) -> None:
    sign_up(client, NEW)
    confirm = path_of(link_in(mails_to(NEW)[0]))
    other = Client()
    assert other.post(confirm)["Location"] == "/accounts/login/"
    assert not is_signed_in(other)
    assert EmailAddress.objects.get(email=NEW).verified
    assert "does not work any more" in other.get(confirm).content.decode()


def test_the_right_password_is_not_enough_before_the_address_is_proven(client: Client) -> None:
    UserFactory(email=NEW, proven=False)
    assert "check your mail" in sign_in(client, NEW).content.decode()
    assert not is_signed_in(client)
    (message,) = mails_to(NEW)
    client.post(path_of(link_in(message)))
    sign_in(client, NEW)
    assert is_signed_in(client)


def test_s8_who_signed_up_does_not_learn_by_signing_in_whether_the_address_was_known() -> None:
    UserFactory(email="known@example.test")
    answers = []
    for address, email in (("192.0.2.1", "known@example.test"), ("192.0.2.2", NEW)):
        sign_up(Client(REMOTE_ADDR=address), email)
        tries = [sign_in(Client(REMOTE_ADDR=address), email, "another horse battery") for _ in range(6)]
        answers.append([told(answer) for answer in tries])
    assert answers[0] == answers[1]


def test_s8_signing_up_with_a_known_address_looks_and_costs_the_same(hashings: list[str]) -> None:
    UserFactory(email="known@example.test")
    answers, costs = [], []
    for email in ("known@example.test", NEW):
        browser = Client()
        hashings.clear()
        first = sign_up(browser, email)
        costs.append(len(hashings))
        answers.append((told(first), told(browser.get(first["Location"]))))
    assert answers[0] == answers[1]
    assert costs == [1, 1]
    assert User.objects.get(email="known@example.test").check_password(PASSWORD)
    assert "already" in mails_to("known@example.test")[0].subject


def test_s8_signing_in_with_an_unknown_address_looks_and_costs_the_same(hashings: list[str]) -> None:
    UserFactory(email="known@example.test")
    UserFactory(email="closed@example.test", is_active=False)
    UserFactory(email="nopassword@example.test", password=None)
    answers, costs = set(), []
    for name in ("known", "closed", "nopassword", "unknown"):
        hashings.clear()
        answers.add(told(sign_in(Client(), f"{name}@example.test", "wrong password")))
        costs.append(len(hashings))
    assert len(answers) == 1
    assert costs == [1, 1, 1, 1]


def test_s8_resetting_the_password_of_an_unknown_address_looks_and_costs_the_same(hashings: list[str]) -> None:
    UserFactory(email="known@example.test")
    answers, costs = [], []
    for email in ("known@example.test", "unknown@example.test"):
        browser = Client()
        hashings.clear()
        first = browser.post("/accounts/password/reset/", {"email": email})
        costs.append((len(hashings), len(mails_to(email))))
        answers.append((told(first), told(browser.get(first["Location"]))))
    assert answers[0] == answers[1]
    assert costs[0] == costs[1] == (0, 1)


def test_s8_signing_up_twice_at_once_makes_one_account_and_tells_neither() -> None:
    together, answers = threading.Barrier(4), []

    def once() -> None:
        together.wait()
        answers.append(told(sign_up(Client(), NEW)))
        connection.close()

    threads = [threading.Thread(target=once) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(answers)) == 1
    assert User.objects.filter(email=NEW).count() == 1


def test_addresses_are_one_whatever_their_case(client: Client) -> None:
    sign_up(client, "New@Example.Test")
    assert User.objects.get().email == NEW
    sign_up(Client(), "NEW@example.test")
    assert User.objects.count() == 1


def test_signing_up_sets_nothing_but_address_and_password(client: Client) -> None:
    body = {"email": NEW, "password1": "another horse battery", "is_staff": "on", "is_superuser": "on", "name": "x"}
    client.post("/accounts/signup/", body)
    user = User.objects.get(email=NEW)
    assert (user.is_staff, user.is_superuser, user.name) == (False, False, "")


@pytest.mark.parametrize("password", ["short", "password123", "new@example.test"])
def test_a_weak_password_is_refused_beside_its_field(password: str, client: Client) -> None:
    answer = client.post("/accounts/signup/", {"email": NEW, "password1": password})
    assert "field-error" in answer.content.decode()
    assert not User.objects.exists()
    assert mail.outbox == []


def test_an_operator_made_on_the_command_line_needs_no_mail(client: Client) -> None:
    User.objects.create_superuser("operator@example.test", PASSWORD)
    sign_in(client, "operator@example.test")
    assert is_signed_in(client)
