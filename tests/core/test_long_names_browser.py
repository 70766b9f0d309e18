"""Names as long as they may be, in a real browser: nothing leaves the screen or shrinks until nobody can hit it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Browser, Page, expect

from apps.audit.models import AuditEntry
from apps.core import http, tenancy
from apps.core.actors import Actor
from apps.jobs.models import Job
from apps.notifications.services import webhooks
from apps.organizations import services
from tests import looking
from tests.browsing import signed_in

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

LONGEST = "W" * 80


@pytest.fixture
def page(browser: Browser, live_server: Any, acme: Any, as_owner: Client) -> Iterator[Page]:
    opened = signed_in(browser, live_server.url, as_owner, bypass_csp=True)
    yield opened
    opened.context.close()


def test_an_entry_about_something_with_a_long_name_fits_the_screen(
    page: Page, live_server: Any, acme: Any, actor: Actor
) -> None:
    with tenancy.scope(acme.pk):
        services.create_project(LONGEST, by=actor)
        entry = AuditEntry.objects.get(action="project.created")
        path = http.link(acme, "audit:entry-detail", entry.pk)
    page.goto(live_server.url + path)

    assert looking.faults(page) == []


def test_the_way_back_from_a_webhook_with_a_long_address_can_be_hit(
    page: Page, live_server: Any, acme: Any, actor: Actor
) -> None:
    with tenancy.scope(acme.pk):
        endpoint = webhooks.create_endpoint("https://example.com/" + "path/" * 60, by=actor)
        path = http.link(acme, "notifications:webhook-detail", endpoint.pk)
    page.goto(live_server.url + path)

    assert looking.faults(page) == []


def test_a_long_name_leaves_its_rows_other_columns_on_the_screen(
    page: Page, live_server: Any, acme: Any, actor: Actor
) -> None:
    with tenancy.scope(acme.pk):
        services.create_token(LONGEST, ["datasets.read"], by=actor)
        path = http.link(acme, "organizations:token-list")
    page.goto(live_server.url + path)

    expect(page.get_by_role("columnheader", name="Ends")).to_be_in_viewport(ratio=1)


def test_the_list_of_keys_is_read_from_its_beginning_at_200_percent_zoom(
    page: Page, live_server: Any, acme: Any
) -> None:
    page.set_viewport_size(looking.ZOOMED)
    page.goto(f"{live_server.url}/o/acme/")
    page.keyboard.press("?")

    expect(page.get_by_role("heading", name="Keyboard shortcuts")).to_be_in_viewport(ratio=1)


def test_a_long_change_takes_few_lines_of_the_trail(page: Page, live_server: Any, acme: Any, actor: Actor) -> None:
    with tenancy.scope(acme.pk):
        webhooks.create_endpoint("https://example.com/" + "path/" * 60, by=actor, description="word " * 40)
        path = http.link(acme, "audit:entry-list")
    page.goto(live_server.url + path)

    row = page.get_by_role("row").filter(has_text="webhook.created")
    box = row.bounding_box()
    assert box is not None
    assert box["height"] < 150


def test_long_kinds_and_errors_of_jobs_fit_a_phone(page: Page, live_server: Any, acme: Any) -> None:
    longest = {"kind": "k" * 60, "error_code": "c" * 60, "error_class": "E" * 100, "traceback": "Traceback"}
    with tenancy.scope(acme.pk):
        Job.objects.create(label="another", kind="short", queue="outside", status="dead")
        job = Job.objects.create(label=LONGEST, queue="outside", status="dead", **longest)
        paths = [http.link(acme, f"jobs:{name}") for name in ("job-list", "dead-list")]
        paths.append(http.link(acme, "jobs:job-detail", job.pk))
    page.set_viewport_size({"width": 360, "height": 800})
    for path in paths:
        page.goto(live_server.url + path)
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path
