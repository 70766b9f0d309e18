"""Programs that a person signed in, on the page of their sessions."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests.accounts.signing import program, refresh, signed_in
from tests.factories.people import UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(owner: Any, acme: Any) -> Client:
    client = Client()
    client.force_login(owner)
    return client


def end_address(page: str) -> str:
    """The form's address that logs out the one program of the page."""
    return next(part for part in page.split('"') if part.startswith("/accounts/sessions/programs/"))


def test_a_program_is_listed_and_logged_out(owner: Any, browser: Client) -> None:
    assert "Programs" not in browser.get("/accounts/sessions/").content.decode()
    pair = signed_in(owner)
    assert program(pair["access"]).get("/api/v1/me/").status_code == 200
    page = browser.get("/accounts/sessions/").content.decode()
    assert browser.post(end_address(page)).status_code == 302
    assert program(pair["access"]).get("/api/v1/me/").status_code == 401
    assert refresh(pair["refresh"]).status_code == 401
    assert "Programs" not in browser.get("/accounts/sessions/").content.decode()


def test_s1_nobody_logs_out_somebody_elses_program(owner: Any, browser: Client) -> None:
    pair = signed_in(owner)
    address = end_address(browser.get("/accounts/sessions/").content.decode())
    stranger = Client()
    stranger.force_login(UserFactory())
    assert stranger.post(address).status_code == 404
    assert program(pair["access"]).get("/api/v1/me/").status_code == 200
