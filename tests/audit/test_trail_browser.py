"""The trail in a real browser: what is new is told without moving what is read, and the filters fit a phone."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Browser, expect

from apps.audit import services
from apps.core import tenancy
from apps.core.actors import Actor
from tests.browsing import judge, screen, signed_in

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

TRAIL = "/o/acme/trail/"


def test_new_entries_are_counted_above_what_is_read(
    browser: Browser, live_server: Any, as_owner: Client, acme: Any, actor: Actor
) -> None:
    page = signed_in(browser, live_server.url, as_owner)
    page.goto(f"{live_server.url}{TRAIL}")
    rows = page.locator("table tbody tr")
    shown = rows.count()
    with tenancy.scope(acme.pk):
        for _ in range(12):
            services.record(actor, "project.seen", acme)
    page.locator("#trail-news").dispatch_event("live")
    link = page.get_by_role("link", name="12 new")
    expect(link).to_be_visible()
    assert rows.count() == shown
    link.click()
    expect(rows).to_have_count(shown + 12)
    expect(link).to_have_count(0)
    page.context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_filters_open_are_sent_and_taken_away(
    browser: Browser, live_server: Any, as_owner: Client, acme: Any, width: int, theme: str
) -> None:
    page = signed_in(browser, live_server.url, as_owner, **screen(width, theme))
    page.goto(f"{live_server.url}{TRAIL}")
    name = page.get_by_label("Part of a name")
    expect(name).to_be_hidden()
    page.get_by_text("Filter", exact=True).click()
    name.fill("nowhere")
    page.get_by_label("From", exact=False).first.fill("2026-01-02T03:04:05")
    judge(page)
    page.get_by_role("button", name="Show").click()
    expect(page).to_have_url(f"{live_server.url}{TRAIL}?q=nowhere&after=2026-01-02T03%3A04%3A05Z")
    expect(page.get_by_role("heading", name="Nothing matches these filters")).to_be_visible()
    judge(page)
    page.get_by_role("link", name="Drop “Name: nowhere”").click()
    expect(page.get_by_role("list", name="Filters that are on").get_by_role("listitem")).to_have_count(1)
    page.get_by_role("link", name="Take away From").click()
    expect(page).to_have_url(f"{live_server.url}{TRAIL}?")
    page.context.close()


def test_shortening_asks_before_entries_go(browser: Browser, live_server: Any, as_owner: Client, acme: Any) -> None:
    page = signed_in(browser, live_server.url, as_owner, bypass_csp=True)
    page.goto(f"{live_server.url}{TRAIL}retention/")
    page.get_by_label("Keep entries for").fill("29")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The trail is kept for 30 to 2")).to_be_visible()
    judge(page)
    page.get_by_label("Keep entries for").fill("730")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("2 years")).to_be_visible()
    page.context.close()
