"""The pages of tokens in a real browser: accessible in both themes, and a token made, shown, rotated and revoked."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Browser, expect

from apps.core import tenancy
from apps.core.actors import Actor
from apps.organizations import services
from apps.organizations.enums import TokenKind
from tests.browsing import judge, screen, signed_in

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

PAGES = "/o/acme/settings/tokens/"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_every_page_of_tokens_is_accessible_and_fits(
    browser: Browser, live_server: Any, as_owner: Client, acme: Any, actor: Actor, width: int, theme: str
) -> None:
    page = signed_in(browser, live_server.url, as_owner, **screen(width, theme))
    page.goto(f"{live_server.url}{PAGES}")
    judge(page)
    with tenancy.scope(acme.pk):
        services.create_token("notebook", ["datasets.read"], by=actor)
        token, text = services.create_token(
            "nightly scoring",
            ["deployments.read", "predictions.create"],
            by=actor,
            kind=TokenKind.ORGANIZATION,
            allowed_networks=["203.0.113.0/24", "2001:db8::/32"],
        )
        services.admit_token(text, address="203.0.113.7", agent="python-requests/2.32")
        services.rotate_token(token, by=actor)
    for path in ("", f"{token.pk}/", f"{token.pk}/edit/", "new/?preset=read"):
        page.goto(f"{live_server.url}{PAGES}{path}")
        judge(page)
    page.get_by_role("button", name="Create token").click()
    expect(page.get_by_text("This field is required")).to_be_visible()
    judge(page)
    page.context.close()


def test_a_token_is_made_rotated_and_revoked_by_hand(browser: Browser, live_server: Any, as_owner: Client) -> None:
    page = signed_in(browser, live_server.url, as_owner)
    page.goto(f"{live_server.url}{PAGES}")
    page.get_by_role("link", name="New token").click()
    page.get_by_label("Name").fill("by hand")
    page.get_by_role("link", name="Read everything").click()
    expect(page.get_by_label("datasets.read")).to_be_checked()
    expect(page.get_by_label("predictions.create")).not_to_be_checked()
    expect(page.get_by_label("Name")).to_have_value("by hand")
    page.get_by_role("button", name="Create token").click()
    first = page.get_by_role("region", name="Token").inner_text()
    page.get_by_role("link", name="I have copied it").click()
    page.get_by_role("button", name="Rotate").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Rotate").click()
    assert page.get_by_role("region", name="Token").inner_text() != first
    page.get_by_role("link", name="I have copied it").click()
    expect(page.get_by_text("Two secrets work")).to_be_visible()
    page.get_by_role("button", name="Revoke").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.locator(".page-title").get_by_text("Revoked")).to_be_visible()
    expect(page.get_by_role("button", name="Rotate")).to_have_count(0)
    page.context.close()
