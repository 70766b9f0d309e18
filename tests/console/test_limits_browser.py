"""The operator's pages of limits, usage and the ledger in a real browser, full, in both themes and on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Browser

from apps.accounts.models import User
from apps.console.status import probes
from apps.core import dead_letters, tenancy
from apps.core.actors import Actor
from apps.ratelimits import services as limits
from apps.ratelimits.guards import services as guards
from apps.usage import entitlements, meters
from apps.usage.models import Entitlement
from tests import looking
from tests.browsing import signed_in
from tests.console.test_dead_letters import STREAM, bury
from tests.ratelimits.test_pages import saw
from tests.usage.test_pages import use

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True, databases=["default", "console"]),
]

PAGES = {
    "policies": "/admin/ratelimits/policy/",
    "guards": "/admin/ratelimits/guard/",
    "rates": "/admin/ratelimits/planlimitoverride/",
    "entitlements": "/admin/usage/entitlement/",
    "amounts": "/admin/usage/override/",
    "largest": "/admin/usage/organizationusage/",
    "letters": "/admin/dead-letters/",
}
LONG = "field `quantity`: " + "W" * 120


@pytest.fixture
def operator(db: None) -> User:
    return User.objects.create_superuser("operator@modelyard.test", "a-password")


@pytest.fixture
def console(operator: User) -> Client:
    client = Client()
    client.force_login(operator)
    return client


@pytest.fixture
def redis() -> Iterator[Any]:
    client = probes.client()
    client.delete(dead_letters.STREAM, dead_letters.COUNTS, STREAM)
    client.xgroup_create(STREAM, "sink", mkstream=True)
    yield client
    client.delete(dead_letters.STREAM, dead_letters.COUNTS, STREAM)


@pytest.fixture
def full(acme: Any, globex: Any, actor: Actor, operator: User, redis: Any) -> None:
    by = Actor("operator", operator.pk, "operator operator@modelyard.test", frozenset(), operator.pk)
    guards.declare_guards()
    for meter in meters.METERS:
        Entitlement.objects.update_or_create(plan=acme.plan, meter=meter, defaults={"included": 10**12})
    entitlements.set_entitlement(Entitlement.objects.first(), 5, True, by=by)
    for organization in (acme, globex):
        with tenancy.scope(organization.pk):
            policy = limits.create_policy(name=f"Each key of {organization}", subject=["token"], limit=100, by=actor)
            for _ in range(2):
                saw(organization.pk, policy, "0190aaaa-7000-7000-8000-000000000000", -1)
            limits.override_plan_limit("plan-api", 7, timezone.now().date(), "They asked for it", by=by)
            entitlements.grant_override("predictions", 10**9, timezone.now() + timedelta(days=9), "Launch week", by=by)
            for meter in meters.METERS:
                use(123_456_789, hours_ago=0, meter=meter)
    for number in range(60):
        bury(redis, b'{"id": "%d"}' % number if number % 2 else b"{", LONG if number % 3 else "no JSON")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_each_page_can_be_read_full(
    browser: Browser, live_server: Any, console: Client, full: None, theme: str
) -> None:
    page = signed_in(browser, live_server.url, console, color_scheme=theme)
    found = []
    for path in PAGES.values():
        page.goto(live_server.url + path)
        found += looking.contrast_faults(page, "#content")
    page.set_viewport_size(looking.PHONE)
    for path in PAGES.values():
        page.goto(live_server.url + path)
        if page.evaluate("document.documentElement.scrollWidth - innerWidth") > 0:
            found.append(f"{path} is wider than a phone")
    page.context.close()

    assert found == []


def test_a_letter_is_replayed_and_another_discarded_by_hand(
    browser: Browser, live_server: Any, console: Client, redis: Any
) -> None:
    for event in (b'{"meter": 1}', b"{"):
        bury(redis, event, "wrong")
    page = signed_in(browser, live_server.url, console)
    page.goto(live_server.url + PAGES["letters"])
    page.locator("input[name=letter]").nth(1).check()
    page.get_by_role("button", name="Replay").click()
    page.get_by_text("1 replayed.").wait_for()
    page.locator("input[name=letter]").first.check()
    page.get_by_label("Why they are discarded").fill("Cut off on its way")
    page.get_by_role("button", name="Discard").click()
    page.get_by_text("None. Every event was stored.").wait_for()
    assert dead_letters.count(probes.client()) == 0
    page.context.close()
