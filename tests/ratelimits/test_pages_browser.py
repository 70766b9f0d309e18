"""The pages of limits in a real browser: accessible and fitting, told in words while one types, and live."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Browser, expect

from apps.core import tenancy
from apps.core.actors import Actor
from apps.ratelimits import services
from apps.ratelimits.models import Entry, Policy
from tests.browsing import judge, screen, signed_in
from tests.ratelimits.test_pages import saw

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

PAGES = "/o/acme/limits/"


def built(acme: Any, actor: Actor, operator: Actor) -> Policy:
    with tenancy.scope(acme.pk):
        policy = services.create_policy(name="Each key", subject=["token", "address"], limit=100, by=actor)
        shadow = services.create_policy(
            name="Slow training", quantity="cost", planes=["check"], limit=2_500_000, is_shadow=True, by=actor
        )
        services.pause_policy(
            services.create_policy(name="A very long name of a policy that somebody chose", limit=10**12, by=actor),
            "It refused the whole office",
            by=operator,
        )
        services.create_entry("deny", "address", "203.0.113.0/24", reason="Scrapes our endpoint", by=actor)
        services.create_entry("allow", "header", "gold", header="x-customer", by=actor)
        tomorrow = timezone.now().date() + timedelta(days=1)
        services.override_plan_limit("plan-api", 90_000, tomorrow, "Moving their archive", by=operator)
        saw(acme.pk, policy, "01977f2c-5d4e-7a31-8b7e-0c1d2e3f4a5b\t203.0.113.9", 37)
        saw(acme.pk, policy, "01977f2c-5d4e-7a31-8b7e-0c1d2e3f4a5b\t203.0.113.9", -1)
        saw(acme.pk, shadow, str(acme.pk), -1)
    return policy


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_every_page_of_limits_is_accessible_and_fits(
    browser: Browser,
    live_server: Any,
    as_owner: Client,
    acme: Any,
    actor: Actor,
    operator: Actor,
    width: int,
    theme: str,
) -> None:
    page = signed_in(browser, live_server.url, as_owner, **screen(width, theme))

    def look(path: str, name: str) -> None:
        page.goto(f"{live_server.url}{PAGES}{path}")
        judge(page)
        if folder := os.environ.get("SHOTS"):
            page.screenshot(path=Path(folder) / f"{name}-{width}-{theme}.png", full_page=True)

    look("", "empty")
    look("lists/", "lists-empty")
    policy = built(acme, actor, operator)
    with tenancy.scope(acme.pk):
        entry = Entry.objects.latest("id")
    for path, name in (
        ("", "list"),
        ("new/", "new"),
        ("plan/", "plan"),
        ("lists/", "lists"),
        ("lists/new/", "lists-new"),
        (f"{policy.pk}/", "policy"),
        (f"{policy.pk}/edit/", "edit"),
        (f"lists/{entry.pk}/edit/", "lists-edit"),
    ):
        look(path, name)
    page.goto(f"{live_server.url}{PAGES}new/")
    page.get_by_label("Name", exact=True).fill("")
    page.get_by_role("button", name="Create policy").click()
    page.get_by_text("This field is required").first.wait_for()
    judge(page)
    page.context.close()


def test_the_form_says_what_it_means_while_one_types(browser: Browser, live_server: Any, as_owner: Client) -> None:
    page = signed_in(browser, live_server.url, as_owner)
    page.goto(f"{live_server.url}{PAGES}new/")
    words = page.locator("#policy-words")
    expect(words).to_contain_text("100 requests a minute for each API token")
    page.get_by_label("At most").fill("5000")
    expect(words).to_contain_text("5,000 requests a minute for each API token")
    page.get_by_label("Address", exact=True).check()
    expect(words).to_contain_text("for each API token and address")
    page.get_by_text("Shadow: counts").click()
    expect(words).to_contain_text("What goes over it is counted, and passes.")
    page.get_by_label("What", exact=True).select_option("concurrency")
    expect(words).to_contain_text("5,000 calls at once")
    page.get_by_label("Name", exact=True).fill("Each key")
    page.get_by_role("button", name="Create policy").click()
    expect(page.get_by_role("heading", name="Each key")).to_be_visible()
    page.context.close()


@pytest.mark.parametrize("has_script", [True, False])
def test_a_form_shows_what_matters_with_what_is_chosen(
    browser: Browser, live_server: Any, as_owner: Client, has_script: bool
) -> None:
    page = signed_in(browser, live_server.url, as_owner, java_script_enabled=has_script)
    page.goto(f"{live_server.url}{PAGES}new/")
    header, held = page.locator("#id_header"), page.locator("#id_held_s")
    expect(header).to_be_hidden()
    page.get_by_label("Value of a header").check()
    expect(header).to_be_visible()
    expect(held).to_be_hidden()
    page.get_by_label("What", exact=True).select_option("concurrency")
    expect(held).to_be_visible()
    expect(page.locator("#id_window_s")).to_be_hidden()
    page.goto(f"{live_server.url}{PAGES}lists/new/")
    fields = ("token", "user", "header", "value")
    for subject, shown in (("token", ["token"]), ("user", ["user"]), ("address", ["value"]), ("header", fields[2:])):
        page.get_by_label("Who", exact=True).select_option(subject)
        for name in fields:
            expect(page.locator(f"#id_{name}")).to_be_visible(visible=name in shown)
    page.context.close()
