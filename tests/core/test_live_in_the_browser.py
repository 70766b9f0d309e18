"""live.js in a real browser, with a server whose sockets the test holds in its hands."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Browser, Page, Response, WebSocketRoute, expect

from apps.core.consumers import COME_AGAIN
from apps.organizations.sockets import NOT_FOUND
from tests.browsing import DEADLINE_S, signed_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

A_SECOND_MS = 1_000
A_MINUTE_MS = 60_000


@pytest.fixture
def page(browser: Browser, live_server: Any, as_owner: Client) -> Iterator[Page]:
    page = signed_in(browser, live_server.url, as_owner)
    page.clock.install()
    yield page
    page.context.close()


def connections(page: Page, url: str, *codes: int, path: str = "jobs/") -> list[WebSocketRoute]:
    """Open a page whose sockets are closed with these codes, one after the other; later ones stay open."""
    opened: list[WebSocketRoute] = []

    def accept(route: WebSocketRoute) -> None:
        opened.append(route)
        if len(opened) <= len(codes):
            route.close(code=codes[len(opened) - 1])
        else:
            route.on_message(lambda message: route.send(json.dumps({"subscribed": json.loads(message)["subscribe"]})))

    page.route_web_socket("**/live/", accept)
    page.goto(f"{url}/o/acme/{path}")
    return opened


def test_a_page_that_is_told_to_come_again_comes_again(page: Page, live_server: Any) -> None:
    opened = connections(page, live_server.url, COME_AGAIN)
    deadline = time.monotonic() + DEADLINE_S
    while len(opened) < 2:
        assert time.monotonic() < deadline
        page.wait_for_timeout(20)
    page.clock.run_for(A_MINUTE_MS)
    expect(page.locator("#stale")).to_be_hidden()
    assert len(opened) == 2


def test_a_page_that_is_turned_away_says_so_and_asks_no_more(page: Page, live_server: Any) -> None:
    opened = connections(page, live_server.url, NOT_FOUND)
    told = page.locator("#turned-away")
    expect(told).to_contain_text("Logged out, or no access any more.")
    page.clock.run_for(A_MINUTE_MS)
    expect(told).to_be_visible()
    expect(told.get_by_role("link", name="Sign in")).to_have_attribute("href", "/accounts/login/?next=/o/acme/jobs/")
    expect(page.locator("#stale")).to_be_hidden()
    assert len(opened) == 1


def test_what_a_phone_is_told_leaves_room_for_the_bar(page: Page, live_server: Any) -> None:
    page.set_viewport_size({"width": 360, "height": 640})
    connections(page, live_server.url, NOT_FOUND)
    expect(page.locator("#turned-away")).to_be_visible()
    assert page.locator(".topbar").evaluate("bar => bar.scrollWidth <= bar.clientWidth")
    for control in page.locator(".topbar :is(a, button):visible").all():
        box = control.bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 360


def test_a_page_that_is_fetched_now_and_then_shows_the_last_change_of_a_burst_too(page: Page, live_server: Any) -> None:
    [socket] = connections(page, live_server.url, path="trail/")
    expect(page.locator("#stale")).to_be_hidden()
    page.clock.run_for(A_MINUTE_MS)
    page.wait_for_load_state("networkidle")
    with page.expect_response(is_fragment):
        tell_of_entry(page, socket)
    page.wait_for_load_state("networkidle")
    tell_of_entry(page, socket)
    with page.expect_response(is_fragment):
        page.clock.run_for(A_MINUTE_MS)


def tell_of_entry(page: Page, socket: WebSocketRoute) -> None:
    socket.send(json.dumps({"topic": "trail"}))
    page.evaluate("0")  # answered after the page has heard it
    page.clock.run_for(A_SECOND_MS)


def is_fragment(response: Response) -> bool:
    return "/trail/news/" in response.url and response.request.headers.get("hx-request") == "true"
