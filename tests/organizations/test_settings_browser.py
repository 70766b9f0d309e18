"""The pages of settings in a real browser: accessible in both themes, and whole on a phone."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Browser, expect

from apps.core import tenancy
from apps.core.actors import Actor
from apps.organizations import services
from tests.browsing import judge, screen
from tests.organizations.test_token_browser import signed_in

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

SETTINGS = "/o/acme/settings/"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_every_page_of_settings_is_accessible_and_fits(
    browser: Browser, live_server: Any, as_owner: Client, acme: Any, actor: Actor, width: int, theme: str
) -> None:
    with tenancy.scope(acme.pk):
        services.invite_member("guest@elsewhere.test", "analyst", by=actor)
        services.update_organization(acme, time_zone="Europe/Berlin", by=actor)
    page = signed_in(browser, live_server.url, as_owner, **screen(width, theme))
    for path in ("settings/", "settings/members/", "settings/projects/", "trail/", "jobs/", "nowhere/", ""):
        page.goto(f"{live_server.url}/o/acme/{path}")
        judge(page)
    page.context.close()


def test_a_phone_shows_what_one_can_do_with_a_member_and_where_one_is(
    browser: Browser, live_server: Any, as_owner: Client, acme: Any
) -> None:
    page = signed_in(browser, live_server.url, as_owner, viewport={"width": 360, "height": 900})
    page.goto(f"{live_server.url}{SETTINGS}members/")
    for name in ("Change", "Remove"):
        expect(page.get_by_role("button", name=name).last).to_be_in_viewport(ratio=1)
    page.goto(f"{live_server.url}/o/acme/trail/")
    expect(page.get_by_role("navigation", name="Settings").get_by_text("Trail")).to_be_in_viewport(ratio=0.9)
    page.context.close()


def test_the_last_day_is_asked_for_where_the_end_is_a_date(
    browser: Browser, live_server: Any, as_owner: Client, acme: Any
) -> None:
    page = signed_in(browser, live_server.url, as_owner)
    page.goto(f"{live_server.url}{SETTINGS}tokens/new/")
    expect(page.get_by_label("Last day")).to_be_hidden()
    page.get_by_label("Ends after").select_option("date")
    expect(page.get_by_label("Last day")).to_be_visible()
    page.context.close()
