"""A real browser for tests: started once for a module, its pages judged by axe."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, Page, expect, sync_playwright

FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
DEADLINE_S = 30


@contextmanager
def launched() -> Iterator[Browser]:
    # Playwright's synchronous interface keeps an event loop in this thread, where Django then refuses its ORM.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    expect.set_options(timeout=DEADLINE_S * 1000)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield started
        started.close()


def open_page(browser: Browser, url: str, **options: Any) -> Page:
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce", **options})
    page = context.new_page()
    page.set_default_timeout(DEADLINE_S * 1000)
    page.goto(url)
    return page


def screen(width: int, theme: str, height: int = 900) -> dict[str, Any]:
    """What a page is opened with to be judged on a screen of that size in that theme."""
    return {"viewport": {"width": width, "height": height}, "color_scheme": theme, "bypass_csp": True}


def sign_in(page: Page, url: str, client: Client) -> None:
    """Let the page's browser be who the client is at `url`."""
    name = settings.SESSION_COOKIE_NAME
    page.context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": url}])


def signed_in(browser: Browser, url: str, client: Client, **options: Any) -> Page:
    """An empty page of somebody who is signed in."""
    page = open_page(browser, "about:blank", **options)
    sign_in(page, url, client)
    return page


def judge(page: Page) -> None:
    """Accessible, and no wider than the screen. For a page opened with `screen`: its policy refuses axe itself."""
    results = Axe().run(page, options=RULES)
    assert results.violations_count == 0, f"{page.url}\n{results.generate_report()}"
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, page.url
