"""Usage in a real browser: readable in both themes and on a phone, and a bar opens what it is made of."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect

from apps.core import tenancy
from apps.usage.models import Entitlement
from tests.browsing import judge, screen, signed_in
from tests.usage.test_pages import PAGE, use

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

AMOUNTS = {
    "predictions": (700_000, True),
    "training_ms": (36_000_000, True),
    "job_ms": (1, False),
    "stored_bytes": (None, False),
}


@pytest.fixture
def used(acme: Any) -> None:
    """Four weeks of twelve models, less on weekends; one amount is nearly used, one is used up."""
    for meter, (included, is_hard) in AMOUNTS.items():
        amount = {"included": included, "is_hard": is_hard}
        Entitlement.objects.update_or_create(plan=acme.plan, meter=meter, defaults=amount)
    now = timezone.now()
    with tenancy.scope(acme.pk):
        for day in range(29):
            weight = 1 if (now - timedelta(days=day)).weekday() < 5 else 0.3
            for number in range(1, 13):
                use(int(400 * number * weight), 24 * day + number, model=f"model-{number:02}")
            use(30_000 * (day % 5), 24 * day + 2, "job_ms")
        use(1_250_000_000, 3, "stored_bytes")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_usage_can_be_read(
    browser: Browser, live_server: Any, as_owner: Client, used: None, width: int, theme: str
) -> None:
    page = signed_in(browser, live_server.url, as_owner, **screen(width, theme))
    page.goto(f"{live_server.url}{PAGE}?range=30d&group=model")
    judge(page)
    page.context.close()


@pytest.mark.parametrize("width", [1280, 360])
def test_usage_without_any_can_be_read(browser: Browser, live_server: Any, as_owner: Client, width: int) -> None:
    page = signed_in(browser, live_server.url, as_owner, **screen(width, "light"))
    page.goto(f"{live_server.url}{PAGE}")
    judge(page)
    page.context.close()


def test_a_bar_opens_its_events_by_pointer_and_by_keys(
    browser: Browser, live_server: Any, as_owner: Client, used: None
) -> None:
    page = signed_in(browser, live_server.url, as_owner)
    page.goto(f"{live_server.url}{PAGE}?range=30d&group=model")
    page.locator("svg[aria-label^='Predictions'] .chart-slot").nth(-2).locator(".chart-hit").click()
    _expect_a_step(page)
    page.goto(f"{live_server.url}{PAGE}?range=30d&group=model")
    chart = page.locator("svg[aria-label^='Predictions']")
    chart.focus()
    for key in ("End", "ArrowLeft", "Enter"):
        chart.press(key)
    _expect_a_step(page)
    page.get_by_role("link", name="Take away Time").click()
    expect(page.get_by_role("row", name="model-12").first).to_be_visible()
    page.context.close()


def _expect_a_step(page: Page) -> None:
    expect(page.get_by_role("link", name="Take away Time")).to_be_visible()
    expect(page.locator("#events tbody tr")).to_have_count(12)
