"""The pages of one's own account: what they do, and that everybody can use them."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Browser

from tests import browsing
from tests.accounts.browsers import sign_in
from tests.browsing import judge, open_page, screen
from tests.factories.people import UserFactory

BEFORE = ["login", "signup", "password/reset", "password/reset/done", "confirm-email", "confirm-email/nonsense"]
SIGNED_IN = ["profile", "email", "password/change", "sessions", "logout", "reauthenticate"]


@pytest.fixture
def person(db: None) -> Any:
    return UserFactory(email="person@example.test")


@pytest.mark.django_db
class TestProfile:
    def test_ones_name_is_what_others_see(self, person: Any, client: Client) -> None:
        client.force_login(person)
        assert client.post("/accounts/profile/", {"name": "Mara <b>"})["Location"] == "/accounts/profile/"
        person.refresh_from_db()
        assert str(person) == "Mara <b>"
        assert "Mara &lt;b&gt;" in client.get("/accounts/profile/").content.decode()

    def test_a_name_that_is_too_long_is_refused_and_kept_in_the_form(self, person: Any, client: Client) -> None:
        client.force_login(person)
        answer = client.post("/accounts/profile/", {"name": "x" * 121})
        assert answer.status_code == 422
        assert "x" * 121 in answer.content.decode()
        person.refresh_from_db()
        assert person.name == ""

    def test_nothing_but_the_name_can_be_set(self, person: Any, client: Client) -> None:
        client.force_login(person)
        more = {"is_staff": "on", "is_superuser": "on", "email": "x@example.test", "is_active": "", "password": "x"}
        client.post("/accounts/profile/", {"name": "Mara", **more})
        before = (person.email, person.password, person.is_staff, person.is_superuser, person.is_active)
        person.refresh_from_db()
        assert (person.email, person.password, person.is_staff, person.is_superuser, person.is_active) == before

    @pytest.mark.parametrize("path", ["profile", "email", "password/change", "sessions", "2fa", "3rdparty", "delete"])
    def test_strangers_are_sent_to_sign_in(self, path: str, client: Client) -> None:
        assert client.get(f"/accounts/{path}/")["Location"].startswith("/accounts/login/?next=")

    def test_the_tabs_lead_to_every_page_and_mark_this_one(self, person: Any, client: Client) -> None:
        client.force_login(person)
        page = client.get("/accounts/sessions/").content.decode()
        for path in ("profile", "email", "password/change", "2fa", "3rdparty", "delete"):
            assert f'class="tab" href="/accounts/{path}/">' in page, path
        assert 'class="tab" href="/accounts/sessions/" aria-current="page"' in page


@pytest.mark.django_db
class TestWords:
    def test_labels_have_one_capital(self, person: Any, client: Client) -> None:
        client.force_login(person)
        page = client.get("/accounts/password/change/").content.decode()
        for label in ("Current password", "New password", "New password (again)"):
            assert f">{label}</label>" in page

    def test_only_the_operator_is_told_how_github_is_set_up(self, person: Any, client: Client) -> None:
        client.force_login(person)
        assert "GITHUB_CLIENT_ID" not in client.get("/accounts/3rdparty/").content.decode()
        person.is_staff = True
        person.save()
        assert "GITHUB_CLIENT_ID" in client.get("/accounts/3rdparty/").content.decode()


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_accessible_and_no_wider_than_the_screen(
    browser: Browser, live_server: Any, person: Any, width: int, theme: str
) -> None:
    page = open_page(browser, "about:blank", **screen(width, theme))
    for path in BEFORE:
        page.goto(f"{live_server.url}/accounts/{path}/")
        judge(page)
    client = Client()
    sign_in(client, person.email)
    browsing.sign_in(page, live_server.url, client)
    for path in SIGNED_IN:
        response = page.goto(f"{live_server.url}/accounts/{path}/")
        assert response
        assert (response.status, page.url) == (200, f"{live_server.url}/accounts/{path}/")
        judge(page)
    page.context.close()
