"""Signing in through GitHub, over a socket to a stand-in that speaks as GitHub does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import requests
from allauth.account.models import EmailAddress
from allauth.mfa.totp.internal import auth as totp
from allauth.socialaccount.models import SocialAccount, SocialToken
from django.test import Client

from apps.accounts.models import User
from tests.factories.people import PASSWORD, UserFactory
from tests.stand_ins import github as stand_in
from tests.stand_ins.github import GitHub, Person

pytestmark = pytest.mark.django_db

LOGIN = "/accounts/github/login/"
CALLBACK = "/accounts/github/login/callback/"


@pytest.fixture
def github(settings: Any) -> Iterator[GitHub]:
    with stand_in.running() as running:
        settings.GITHUB_URL = running.url
        settings.GITHUB_CLIENT_ID = running.client_id
        settings.GITHUB_CLIENT_SECRET = running.client_secret
        yield running


def start(client: Client, process: str = "login") -> str:
    """The address at GitHub that the browser is sent to."""
    answer = client.post(f"{LOGIN}?process={process}")
    assert answer.status_code == 302
    return answer["Location"]


def consent(url: str, answer: str = "allow") -> str:
    """What the person does at GitHub; the address they are sent back to, on our site."""
    assert requests.get(url, timeout=10).status_code == 200
    back = requests.post(url, data={"answer": answer}, allow_redirects=False, timeout=10).headers["Location"]
    parts = urlsplit(back)
    assert parts.path == CALLBACK
    return f"{parts.path}?{parts.query}"


def go_through(client: Client, process: str = "login") -> Any:
    return client.get(consent(start(client, process)))


def signed_in_as(client: Client) -> str | None:
    return client.session.get("_auth_user_id")


def query(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


# The way in


def test_a_verified_address_signs_up_and_in_without_a_password(github: GitHub, client: Client) -> None:
    answer = go_through(client)
    assert answer.status_code == 302
    user = User.objects.get()
    assert signed_in_as(client) == str(user.pk)
    assert (user.email, user.name, user.has_usable_password()) == ("octo@github.test", "Octo Cat", False)
    assert list(EmailAddress.objects.values_list("email", "verified", "primary")) == [("octo@github.test", True, True)]


def test_we_ask_for_the_address_only_with_state_and_a_challenge(github: GitHub, client: Client) -> None:
    asked = query(start(client))
    assert asked["scope"] == "user:email"
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["code_challenge"]) == 43
    assert len(asked["state"]) >= 16


def test_a_link_to_us_cannot_ask_for_more(github: GitHub, client: Client) -> None:
    answer = client.post(f"{LOGIN}?scope=repo,delete_repo&auth_params=redirect_uri%3Dhttps%3A%2F%2Fevil.test%2F")
    asked = query(answer["Location"])
    assert asked["scope"] == "user:email"
    assert asked["redirect_uri"] == f"http://testserver{CALLBACK}"


def test_a_link_alone_starts_nothing(github: GitHub, client: Client) -> None:
    answer = client.get(LOGIN)
    assert answer.status_code == 200
    assert b"Continue" in answer.content


def test_s9_the_way_to_github_needs_our_own_form(github: GitHub) -> None:
    assert Client(enforce_csrf_checks=True).post(LOGIN).status_code == 403


@pytest.mark.parametrize("target", ["https://evil.test/", "//evil.test/", "/\\\\evil.test/", "javascript:alert(1)"])
def test_s9_the_way_back_leads_to_our_own_pages(target: str, github: GitHub, client: Client) -> None:
    url = client.post(f"{LOGIN}?{urlencode({'process': 'login', 'next': target})}")["Location"]
    assert client.get(consent(url))["Location"] == "/"


def test_the_way_back_leads_to_where_one_wanted(github: GitHub, client: Client) -> None:
    url = client.post(f"{LOGIN}?{urlencode({'process': 'login', 'next': '/accounts/3rdparty/'})}")["Location"]
    assert client.get(consent(url))["Location"] == "/accounts/3rdparty/"


def test_no_token_is_kept(github: GitHub, client: Client) -> None:
    go_through(client)
    assert len(github.tokens) == 1
    [token] = github.tokens
    assert not SocialToken.objects.exists()
    account = SocialAccount.objects.get()
    assert token not in str(account.__dict__)
    assert set(account.extra_data) == {"login", "name", "html_url"}
    assert token not in str(dict(client.session.items()))


def test_a_second_visit_finds_the_same_person(github: GitHub, client: Client) -> None:
    go_through(client)
    other = Client()
    go_through(other)
    assert User.objects.count() == 1
    assert signed_in_as(other) == signed_in_as(client)


def test_the_id_is_who_one_is_whatever_name_and_address_are(github: GitHub, client: Client) -> None:
    go_through(client)
    first = signed_in_as(client)
    github.person.login, github.person.email = "renamed", "moved@github.test"
    later = Client()
    go_through(later)
    assert signed_in_as(later) == first
    assert User.objects.get().email == "octo@github.test"
    github.person = Person(4712, "octo", "octo@elsewhere.test")
    namesake = Client()
    go_through(namesake)
    assert signed_in_as(namesake) not in {None, first}


def test_an_inactive_person_stays_out(github: GitHub, client: Client) -> None:
    go_through(client)
    User.objects.update(is_active=False)
    other = Client()
    go_through(other)
    assert signed_in_as(other) is None


def test_the_second_factor_is_asked_after_github_too(github: GitHub, client: Client) -> None:
    go_through(client)
    totp.TOTP.activate(User.objects.get(), totp.generate_totp_secret())
    other = Client()
    assert go_through(other)["Location"] == "/accounts/2fa/authenticate/"
    assert signed_in_as(other) is None


# Addresses


def test_the_address_of_somebody_here_does_not_open_their_account(github: GitHub, owner: Any, client: Client) -> None:
    github.person.email = owner.email.upper()
    answer = go_through(client)
    assert answer.status_code == 409
    assert b"Sign in to connect" in answer.content
    assert signed_in_as(client) is None
    assert not SocialAccount.objects.exists()
    assert User.objects.count() == 1


@pytest.mark.parametrize("claim", ["sign-up", "change"])
def test_an_address_that_somebody_else_never_proved_is_its_owners(
    claim: str, github: GitHub, owner: Any, client: Client
) -> None:
    if claim == "change":
        EmailAddress.objects.create(user=owner, email=github.person.email)
    else:
        UserFactory(email=github.person.email, proven=False)
    go_through(client)
    assert signed_in_as(client) == str(User.objects.get(email=github.person.email).pk)
    assert EmailAddress.objects.get(email=github.person.email).verified


@pytest.mark.parametrize("is_taken", [True, False])
def test_an_unverified_address_is_neither_used_nor_told_of(
    is_taken: bool, github: GitHub, owner: Any, client: Client
) -> None:
    github.person = Person(1, "mallory", owner.email if is_taken else "nobody@here.test", is_verified=False)
    answer = go_through(client)
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/3rdparty/signup/")
    form = client.get("/accounts/3rdparty/signup/")
    assert github.person.email.encode() not in form.content
    assert signed_in_as(client) is None
    assert User.objects.count() == 1


def test_an_address_that_is_typed_must_be_proven(github: GitHub, client: Client) -> None:
    github.person.is_verified = False
    go_through(client)
    answer = client.post("/accounts/3rdparty/signup/", {"email": "typed@here.test"})
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/confirm-email/")
    assert signed_in_as(client) is None
    assert not EmailAddress.objects.get().verified


def test_s8_typing_an_address_that_is_taken_looks_the_same(github: GitHub, owner: Any, client: Client) -> None:
    github.person.is_verified = False
    go_through(client)
    answer = client.post("/accounts/3rdparty/signup/", {"email": owner.email})
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/confirm-email/")
    assert signed_in_as(client) is None
    assert User.objects.count() == 1


# Connections


@pytest.fixture
def reauthenticated(owner: Any, client: Client) -> Client:
    client.post("/accounts/login/", {"login": owner.email, "password": PASSWORD})
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    return client


def test_somebody_signed_in_connects_and_then_signs_in_with_it(
    github: GitHub,
    owner: Any,
    reauthenticated: Client,
    mailoutbox: list[Any],
    django_capture_on_commit_callbacks: Any,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        answer = go_through(reauthenticated, "connect")
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/3rdparty/")
    assert b"octo" in reauthenticated.get("/accounts/3rdparty/").content
    assert any("GitHub was connected" in mail.subject and mail.to == [owner.email] for mail in mailoutbox)
    other = Client()
    go_through(other)
    assert signed_in_as(other) == str(owner.pk)
    assert User.objects.get().email == owner.email


def test_connecting_asks_who_one_is(github: GitHub, owner: Any, client: Client) -> None:
    client.force_login(owner)
    answer = go_through(client, "connect")
    assert answer["Location"].startswith("/accounts/reauthenticate/")
    assert not SocialAccount.objects.exists()
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    assert SocialAccount.objects.get().user == owner


def test_what_signs_in_one_person_is_not_given_to_another(github: GitHub, owner: Any, reauthenticated: Client) -> None:
    go_through(Client())
    go_through(reauthenticated, "connect")
    assert SocialAccount.objects.get().user.email == "octo@github.test"
    assert b"signs in somebody else" in reauthenticated.get("/accounts/3rdparty/").content


def test_disconnecting_ends_that_way_in(github: GitHub, owner: Any, reauthenticated: Client) -> None:
    go_through(reauthenticated, "connect")
    account = SocialAccount.objects.get()
    assert reauthenticated.post("/accounts/3rdparty/", {"account": account.pk}).status_code == 302
    assert not SocialAccount.objects.exists()


def test_the_last_way_in_stays(github: GitHub, client: Client) -> None:
    go_through(client)
    account = SocialAccount.objects.get()
    answer = client.post("/accounts/3rdparty/", {"account": account.pk})
    assert b"your only way to sign in" in answer.content
    assert SocialAccount.objects.exists()


def test_nobody_disconnects_somebody_elses(github: GitHub, owner: Any, reauthenticated: Client) -> None:
    go_through(Client())
    account = SocialAccount.objects.get()
    reauthenticated.post("/accounts/3rdparty/", {"account": account.pk})
    assert SocialAccount.objects.exists()


# What goes wrong


def refused(answer: Any) -> bool:
    return answer.status_code == 401 and b"GitHub did not let you in" in answer.content


def test_an_answer_is_taken_once(github: GitHub, client: Client) -> None:
    back = consent(start(client))
    client.get(back)
    client.post("/accounts/logout/")
    assert refused(client.get(back))
    assert signed_in_as(client) is None


def test_an_answer_that_somebody_else_asked_for_is_refused(github: GitHub, client: Client) -> None:
    mallorys = consent(start(Client()))
    assert refused(client.get(mallorys))
    assert signed_in_as(client) is None


@pytest.mark.parametrize("state", ["", "state=", "state=guessed"])
def test_an_answer_nobody_asked_for_is_refused(state: str, github: GitHub, client: Client) -> None:
    start(client)
    code = github.grant({"redirect_uri": f"http://testserver{CALLBACK}", "scope": "", "code_challenge": ""})
    assert refused(client.get(f"{CALLBACK}?code={code}&{state}"))


def test_a_code_that_was_used_is_refused_by_github(github: GitHub, client: Client) -> None:
    back = consent(start(client))
    github.grants.clear()
    assert refused(client.get(back))
    assert github.refusals == ["bad_verification_code"]


def test_a_stolen_code_is_worth_nothing_without_its_verifier(github: GitHub, client: Client) -> None:
    stolen = query(consent(start(Client())))["code"]
    own = query(start(client))
    assert refused(client.get(f"{CALLBACK}?code={stolen}&state={own['state']}"))
    assert github.refusals == ["bad_code_verifier"]


def test_without_a_verifier_github_gives_nothing(github: GitHub, client: Client) -> None:
    code = query(consent(start(client)))["code"]
    form = {
        "client_id": github.client_id,
        "client_secret": github.client_secret,
        "redirect_uri": f"http://testserver{CALLBACK}",
        "code": code,
    }
    answer = requests.post(f"{github.url}/login/oauth/access_token", data=form, timeout=10)
    assert "bad_code_verifier" in answer.text


def test_a_wrong_client_secret_is_told_as_a_refusal(github: GitHub, settings: Any, client: Client) -> None:
    settings.GITHUB_CLIENT_SECRET = "wrong"
    assert refused(go_through(client))


def test_a_person_who_cancels_is_told_so(github: GitHub, client: Client) -> None:
    answer = client.get(consent(start(client), "deny"), follow=True)
    assert answer.status_code == 200
    assert b"You cancelled at GitHub" in answer.content


def test_a_broken_github_is_no_error_of_ours(github: GitHub, client: Client) -> None:
    back = consent(start(client))
    github.is_broken = True
    assert refused(client.get(back))


def test_an_unreachable_github_is_no_error_of_ours(settings: Any, client: Client) -> None:
    with stand_in.running() as running:
        settings.GITHUB_URL, settings.GITHUB_CLIENT_ID = running.url, running.client_id
        settings.GITHUB_CLIENT_SECRET = running.client_secret
        back = consent(start(client))
    assert refused(client.get(back))


def test_a_profile_that_is_none_is_refused(github: GitHub, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Person, "profile", lambda self: {"login": "octo"})
    assert refused(go_through(client))


# Without an application


def form_targets(**environ: str) -> list[str]:
    """Where forms may lead under these settings, redirects included."""
    policy = (
        "from config.settings.base import *; print(json.dumps(CONTENT_SECURITY_POLICY['DIRECTIVES']['form-action']))"
    )
    command = [sys.executable, "-c", f"import json; {policy}"]
    return json.loads(subprocess.check_output(command, env={**os.environ, **environ}, text=True))


def test_s9_the_policy_lets_forms_lead_to_github_only_where_it_is_used() -> None:
    assert form_targets(GITHUB_CLIENT_ID="") == ["'self'"]
    enterprise = form_targets(GITHUB_CLIENT_ID="x", GITHUB_URL="https://github.example.com/")
    assert enterprise == ["'self'", "https://github.example.com"]


def test_what_was_connected_is_shown_and_disconnected_when_the_application_is_gone(
    github: GitHub, owner: Any, reauthenticated: Client, settings: Any
) -> None:
    go_through(reauthenticated, "connect")
    settings.GITHUB_CLIENT_ID = ""
    assert b"octo" in reauthenticated.get("/accounts/3rdparty/").content
    account = SocialAccount.objects.get()
    assert reauthenticated.post("/accounts/3rdparty/", {"account": account.pk}).status_code == 302
    assert not SocialAccount.objects.exists()


def test_without_an_application_there_is_no_such_door(settings: Any, client: Client) -> None:
    settings.GITHUB_CLIENT_ID = ""
    assert b"GitHub" not in client.get("/accounts/login/").content
    assert client.get(LOGIN).status_code == 404
    assert client.post(LOGIN).status_code == 404
    assert client.get(CALLBACK).status_code == 404


def test_with_an_application_the_sign_in_page_offers_it(github: GitHub, client: Client) -> None:
    page = client.get("/accounts/login/")
    assert b"Continue with GitHub" in page.content
