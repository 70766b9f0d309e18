"""A page that lives through lost sockets, with a real server: what it built is what a reload shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Browser, Page, WebSocketRoute, expect

from apps.core import tenancy
from apps.core.actors import Actor
from apps.organizations import services
from tests.browsing import signed_in
from tests.core.web_server import WebServer

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

INVITED = 12


@pytest.fixture
def url() -> Iterator[str]:
    server = WebServer()
    yield server.url
    server.stop()


def members_page(browser: Browser, url: str, client: Client, sockets: list[WebSocketRoute]) -> Page:
    page = signed_in(browser, url, client)

    def through(route: WebSocketRoute) -> None:
        sockets.append(route)
        route.connect_to_server()

    page.route_web_socket("**/live/", through)
    page.goto(f"{url}/o/acme/settings/members/")
    return page


def content(page: Page) -> str:
    """The text of the page, each time as the moment it stands for: "just now" is not for long."""
    return page.evaluate(
        """() => {
            const main = document.querySelector("main").cloneNode(true);
            for (const time of main.querySelectorAll("time")) time.textContent = time.dateTime;
            return main.textContent.replace(/\\s+/g, " ");
        }"""
    )


def test_what_a_page_built_from_updates_over_broken_sockets_is_what_a_reload_shows(
    browser: Browser, url: str, as_owner: Client, acme: Any, actor: Actor
) -> None:
    sockets: list[WebSocketRoute] = []
    page = members_page(browser, url, as_owner, sockets)
    main = page.locator("main")
    for number in range(INVITED):
        if number % 4 == 2:
            sockets[-1].close(code=1012)  # as a web process that is being replaced
        with tenancy.scope(acme.pk):
            services.invite_member(f"guest-{number}@globex.test", "analyst", by=actor)
        if number % 4 in (1, 3):
            expect(main).to_contain_text(f"guest-{number}@globex.test")
    expect(page.locator("#stale")).to_be_hidden()
    built = content(page)
    page.reload(wait_until="networkidle")
    assert content(page) == built
    assert len(sockets) == 2 + INVITED // 4  # one for each break, and one after the reload
    page.context.close()
