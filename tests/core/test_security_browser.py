"""Every page in a real browser: its policy refuses nothing that it needs, and nothing of it breaks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import get_resolver, reverse
from playwright.sync_api import Browser, Page, expect

from apps.accounts.models import User
from apps.core.actors import Actor
from apps.core.admin import ConsoleAdmin
from tests import looking
from tests.architecture.doors import PAGES, address
from tests.browsing import open_page, sign_in
from tests.factories import world

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True, databases=["default", "console"]),
]

DOWNLOADS = ("/source/", "/artifact/", "/export/", "download")
ANYBODY = ["/status", "/nowhere/", "/accounts/login/", "/accounts/signup/", "/accounts/password/reset/"]
TOOLS = ["/api/docs/", "/api/redoc/"]
# Not about what is on the page; and the one picture that Redoc would fetch from somebody else is refused on purpose.
EXPECTED = ("Failed to load resource", "WebSocket connection to", "https://cdn.redoc.ly/redoc/logo-mini.svg")


class Visitor:
    """A browser that writes down everything it complains of."""

    def __init__(self, browser: Browser, url: str, user: Any = None) -> None:
        self.url = url
        self.complaints: list[tuple[str, str]] = []
        self.faults: list[str] = []
        self.page: Page = open_page(browser, "about:blank")
        self.page.on("console", lambda message: self._hear(message.type, message.text))
        self.page.on("pageerror", lambda error: self._hear("error", str(error)))
        if user is not None:
            self._sign_in(user)

    def _sign_in(self, user: Any) -> None:
        client = Client()
        client.force_login(user)
        sign_in(self.page, self.url, client)

    def _hear(self, kind: str, text: str) -> None:
        if kind == "error" and not any(expected in text for expected in EXPECTED):
            self.complaints.append((self.page.url, text))

    def open(self, path: str) -> None:
        response = self.page.goto(self.url + path)
        assert response, path
        assert "content-security-policy" in response.headers, path
        self.page.wait_for_load_state("networkidle")

    def look(self, path: str) -> None:
        """Open a page and judge what is seen of it; a fragment is judged where it stands."""
        self.open(path)
        if self.page.locator("html[lang]").count():
            self.faults += looking.faults(self.page)


def own_pages() -> list[str]:
    """The pages of a person's own account that need no id."""
    resolver = get_resolver()
    accounts = next(one for one in resolver.url_patterns if str(one.pattern) == "accounts/")
    found = [*_plain(accounts, "/accounts/")]
    return [path for path in found if "logout" not in path and not any(word in path for word in DOWNLOADS)]


def _plain(resolver: Any, prefix: str) -> Iterator[str]:
    for pattern in resolver.url_patterns:
        path = prefix + str(pattern.pattern)
        if "<" in path or "^" in path or "(" in path:
            continue
        if hasattr(pattern, "url_patterns"):
            yield from _plain(pattern, path)
        else:
            yield path


def test_s9_every_page_keeps_to_its_policy_and_is_accessible_in_both_themes_zoomed_and_on_a_phone(
    browser: Browser, live_server: Any, acme: Any, actor: Actor, owner: Any
) -> None:
    rows = world.build(acme, actor)
    paths = [address(route, "acme", rows) for route, _ in PAGES]
    as_owner = Client()
    as_owner.force_login(owner)
    visitor = Visitor(browser, live_server.url, owner)
    for path in [*paths, *own_pages()]:
        # A browser shows nothing of what is only posted to, or saved.
        if not any(word in path for word in DOWNLOADS) and as_owner.get(path).status_code != 405:
            visitor.look(path)
    stranger = Visitor(browser, live_server.url)
    for path in ANYBODY:
        stranger.look(path)
    assert visitor.complaints + stranger.complaints == []
    assert visitor.faults + stranger.faults == []


def test_what_is_hard_to_see_or_to_hit_is_found(browser: Browser) -> None:
    page = open_page(browser, "about:blank")
    page.set_content(
        """<!DOCTYPE html><html lang="en"><title>Poor</title><meta name="viewport" content="width=device-width">
        <style>:root { color-scheme: light dark; background: light-dark(#fff, #222) }
        i { color: light-dark(#000, #333) }
        div { width: 500px } button { width: 12px; height: 12px; padding: 0; border: 0 }</style>
        <main><h1>Poor</h1><i>dark on dark</i><img src="data:,">
        <div><button aria-label="a"></button><button aria-label="b"></button></div></main>"""
    )
    found = "\n".join(looking.faults(page))
    page.context.close()

    for fault in ("light, 1280 px: image-alt", "dark, 1280 px: color-contrast i", "360 px: target-size", "at 360 px:"):
        assert fault in found, found
    assert "at 640 px" not in found


def test_s9_the_operators_console_works_under_its_policy(
    browser: Browser, live_server: Any, acme: Any, actor: Actor
) -> None:
    world.build(acme, actor)
    operator = User.objects.create_superuser("operator@modelyard.test", "a-password")
    visitor = Visitor(browser, live_server.url, operator)
    visitor.open("/admin/")
    for model, page in admin.site._registry.items():
        if isinstance(page, ConsoleAdmin):
            visitor.open(reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"))
    # The frame around it is the console's framework's own.
    visitor.open("/admin/")
    visitor.faults += looking.faults(visitor.page, "#content")
    visitor.open("/admin/organizations/membership/")
    visitor.page.locator("input[name=_selected_action]").first.check()
    visitor.page.locator("select[name=action]").select_option("act_as")
    visitor.page.get_by_role("button", name="Run").click()
    expect(visitor.page.get_by_label("Reason")).to_be_visible()
    visitor.faults += looking.faults(visitor.page, "#content")
    visitor.page.goto(f"{live_server.url}/admin/jobs/job/")
    visitor.page.locator("#result_list a").first.click()
    visitor.page.wait_for_load_state("networkidle")
    # Alpine has run: it takes away what hides the page until then.
    expect(visitor.page.locator("html[x-cloak]")).to_have_count(0)
    assert visitor.complaints == []
    assert visitor.faults == [], "\n".join(visitor.faults)


@pytest.mark.parametrize("path", TOOLS)
def test_s9_the_apis_documents_are_drawn_under_their_policy(browser: Browser, live_server: Any, path: str) -> None:
    visitor = Visitor(browser, live_server.url)
    visitor.open(path)
    # The first ones, because what is far below is drawn when somebody scrolls to it.
    expect(visitor.page.get_by_text("/api/v1/audit/").first).to_be_attached()
    assert visitor.complaints == []


def test_s9_a_page_that_would_run_a_foreign_script_is_stopped(browser: Browser, live_server: Any) -> None:
    visitor = Visitor(browser, live_server.url)
    visitor.open("/accounts/login/")
    visitor.page.evaluate(
        """() => {
            const script = document.createElement("script");
            script.textContent = "window.ran = true";
            const box = document.createElement("div");
            box.innerHTML = "<img src=x onerror='window.ran = true'>";
            document.body.append(script, box);
        }"""
    )
    visitor.page.wait_for_load_state("networkidle")
    assert visitor.page.evaluate("() => window.ran") is None
    assert any("Content Security Policy" in text for _, text in visitor.complaints)


def test_s9_back_after_the_logout_shows_nothing(browser: Browser, live_server: Any, acme: Any, owner: Any) -> None:
    visitor = Visitor(browser, live_server.url, owner)
    visitor.open("/o/acme/settings/members/")
    expect(visitor.page.locator("main")).to_contain_text("owner@acme.test")
    visitor.page.context.clear_cookies()  # what a logout does to this browser
    visitor.page.goto(f"{live_server.url}/accounts/login/")
    visitor.page.go_back()
    expect(visitor.page.get_by_label("Password", exact=True)).to_be_visible()
    assert "owner@acme.test" not in visitor.page.content()
