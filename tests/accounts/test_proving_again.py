"""Who has just signed in is not asked for the password again, but for another address."""

from __future__ import annotations

import time
from typing import Any

import pytest
from allauth.account.internal.flows.login import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.account.models import EmailAddress
from django.test import Client

from tests.accounts.browsers import sign_in
from tests.factories.people import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)

PAGES = ("/accounts/delete/", "/accounts/2fa/webauthn/add/", "/accounts/2fa/totp/activate/")
TOO_LONG_S = 301


@pytest.fixture
def browser(db: None) -> Client:
    browser = Client()
    sign_in(browser, UserFactory(email="ada@example.test").email)
    return browser


def changed(browser: Client, **changes: Any) -> None:
    """What the session knows of the last sign-in, otherwise."""
    session = browser.session
    session[AUTHENTICATION_METHODS_SESSION_KEY][-1].update(changes)
    session.save()


@pytest.mark.parametrize("path", PAGES)
def test_who_has_just_signed_in_is_not_asked_again(path: str, browser: Client) -> None:
    assert browser.get(path).status_code == 200


@pytest.mark.parametrize("path", PAGES)
def test_who_signed_in_a_while_ago_is_asked(path: str, browser: Client) -> None:
    changed(browser, at=time.time() - TOO_LONG_S)
    assert browser.get(path)["Location"].startswith("/accounts/reauthenticate/")


@pytest.mark.parametrize("path", PAGES)
def test_a_sign_in_elsewhere_does_not_count(path: str, browser: Client) -> None:
    changed(browser, method="socialaccount")
    assert browser.get(path)["Location"].startswith("/accounts/reauthenticate/")


def test_another_address_always_takes_the_password(browser: Client) -> None:
    answer = browser.post("/accounts/email/", {"email": "new@example.test", "action_add": ""})
    assert answer["Location"].startswith("/accounts/reauthenticate/")
    assert not EmailAddress.objects.filter(email="new@example.test").exists()
