"""Changing one's address: the new one is proven first, and both are told."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.totp.internal import auth as totp
from django.core.cache import cache
from django.test import Client

from apps.accounts import second_factor, services
from tests.accounts.browsers import is_signed_in, link_in, mails_to, path_of, prove, sign_in
from tests.factories.people import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)

OLD, NEW = "old@example.test", "new@example.test"


@pytest.fixture
def person(db: None) -> Any:
    return UserFactory(email=OLD)


@pytest.fixture
def browser(person: Any) -> Client:
    """Signed in, and asked again a moment ago."""
    browser = Client()
    sign_in(browser, OLD)
    browser.post("/accounts/reauthenticate/", {"password": PASSWORD})
    return browser


def ask_for(browser: Client, email: str) -> Any:
    return browser.post("/accounts/email/", {"email": email, "action_add": ""})


def confirm(browser: Client, email: str) -> Any:
    return browser.post(path_of(link_in(mails_to(email)[0])))


def test_nothing_changes_before_the_new_address_is_proven(browser: Client, person: Any) -> None:
    ask_for(browser, NEW)
    person.refresh_from_db()
    assert person.email == OLD
    page = browser.get("/accounts/email/").content.decode()
    assert "Changing to" in page
    assert NEW in page


def test_the_new_address_replaces_the_old_one_and_both_are_told(browser: Client, person: Any) -> None:
    ask_for(browser, NEW)
    confirm(browser, NEW)
    person.refresh_from_db()
    assert person.email == NEW
    assert list(EmailAddress.objects.values_list("email", "verified", "primary")) == [(NEW, True, True)]
    for email in (OLD, NEW):
        message = mails_to(email)[-1]
        assert "was changed" in message.subject
        assert OLD in message.body
        assert NEW in message.body
    other = Client()
    sign_in(other, OLD)
    assert not is_signed_in(other)
    sign_in(other, NEW)
    assert is_signed_in(other)


def test_changing_it_asks_again_who_it_is(browser: Client, person: Any) -> None:
    stranger_at_the_keyboard = Client()
    stranger_at_the_keyboard.force_login(person)
    answer = ask_for(stranger_at_the_keyboard, NEW)
    assert not EmailAddress.objects.filter(email=NEW).exists()
    prove(stranger_at_the_keyboard, answer)
    assert not EmailAddress.objects.get(email=NEW).verified


def test_s8_whether_an_address_has_an_account_is_not_told(browser: Client) -> None:
    UserFactory(email="taken@example.test")
    free, taken = (ask_for(browser, email) for email in (NEW, "taken@example.test"))
    assert (free.status_code, free["Location"]) == (taken.status_code, taken["Location"])


def test_an_address_that_somebody_else_proved_is_not_taken_over(browser: Client, person: Any) -> None:
    UserFactory(email="taken@example.test")
    ask_for(browser, "taken@example.test")
    confirm(browser, "taken@example.test")
    person.refresh_from_db()
    assert person.email == OLD


def test_an_address_that_somebody_else_claimed_but_never_proved_is_free(browser: Client, person: Any) -> None:
    squatter = UserFactory(email=NEW, proven=False)
    ask_for(browser, NEW)
    confirm(browser, NEW)
    person.refresh_from_db()
    assert person.email == NEW
    squatter.refresh_from_db()
    assert (squatter.is_active, squatter.email) == (False, f"{squatter.pk}@unproven.invalid")


def test_an_address_that_only_looks_the_same_is_another(person: Any) -> None:
    other = UserFactory(email="ida@mine.example.test", proven=False)
    services.release_address("ida@m\N{LATIN SMALL LETTER DOTLESS I}ne.example.test", to=person)
    other.refresh_from_db()
    assert other.is_active


def test_the_change_can_be_called_off(browser: Client, person: Any) -> None:
    ask_for(browser, NEW)
    browser.post("/accounts/email/", {"email": NEW, "action_remove": ""})
    assert list(EmailAddress.objects.values_list("email", flat=True)) == [OLD]
    assert confirm(browser, NEW).status_code == 404
    person.refresh_from_db()
    assert person.email == OLD


def test_s8_a_reset_by_the_new_address_opens_nothing_before_it_is_proven(browser: Client, person: Any) -> None:
    ask_for(browser, NEW)
    Client().post("/accounts/password/reset/", {"email": NEW})
    assert "There is no account" in mails_to(NEW)[-1].subject


def test_an_address_that_somebody_else_only_asked_for_signs_up(browser: Client, person: Any) -> None:
    ask_for(browser, NEW)
    cache.clear()  # one such mail in three minutes goes to an address, whoever asks
    owner = Client()
    owner.post("/accounts/signup/", {"email": NEW, "password1": "another horse battery"})
    owner.post(path_of(link_in(mails_to(NEW)[-1])))
    assert is_signed_in(owner)
    assert EmailAddress.objects.get(email=NEW).user != person
    assert confirm(browser, NEW).status_code == 404


# With two-factor


@pytest.fixture
def protected(browser: Client, person: Any) -> Client:
    totp.TOTP.activate(person, totp.generate_totp_secret())
    return browser


def test_two_factor_does_not_stand_in_the_way(protected: Client, person: Any) -> None:
    ask_for(protected, NEW)
    confirm(protected, NEW)
    person.refresh_from_db()
    assert person.email == NEW
    assert second_factor.is_enabled(person)


def test_while_a_change_waits_two_factor_is_set_up_and_its_mail_goes_to_the_old_address(
    browser: Client, person: Any
) -> None:
    ask_for(browser, NEW)
    app = browser.get("/accounts/2fa/totp/activate/").context["form"]
    step = max(totp.yield_hotp_counters_from_time()) - 1
    code = totp.format_hotp_value(totp.hotp_value(app.secret, step))
    browser.post("/accounts/2fa/totp/activate/", {"code": code})
    assert second_factor.is_enabled(person)
    assert "Authenticator app added" in mails_to(OLD)[-1].subject
    assert len(mails_to(NEW)) == 1


def test_s8_with_two_factor_an_unproven_address_opens_nothing_either(protected: Client, person: Any) -> None:
    ask_for(protected, NEW)
    stranger = Client()
    page = sign_in(stranger, NEW).content.decode()
    assert "The address or the password is wrong" in page
    assert "Second step" not in stranger.get("/accounts/2fa/authenticate/", follow=True).content.decode()
    body = {"email": NEW, "password": PASSWORD}
    assert stranger.post("/api/v1/auth/token/", body, "application/json").json()["code"] == "credentials_wrong"
    stranger.post("/accounts/password/reset/", {"email": NEW})
    assert "There is no account" in mails_to(NEW)[-1].subject


def test_s8_two_factor_keeps_an_unproven_address_from_nobody(protected: Client, person: Any) -> None:
    ask_for(protected, NEW)
    cache.clear()
    newcomer = Client()
    newcomer.post("/accounts/signup/", {"email": NEW, "password1": "another horse battery"})
    newcomer.post(path_of(link_in(mails_to(NEW)[-1])))
    assert is_signed_in(newcomer)
    assert confirm(protected, NEW).status_code == 404


def test_the_old_address_is_told_what_helps_when_it_was_somebody_else(browser: Client) -> None:
    ask_for(browser, NEW)
    confirm(browser, NEW)
    old, new = (mails_to(email)[-1].body for email in (OLD, NEW))
    for body in (old, new):
        assert "tell the operator" in body
        assert "reset your password" not in body
    assert "cannot be reset by this address" in old
    assert "cannot be reset by this address" not in new
