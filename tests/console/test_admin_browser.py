"""The operator's console in a real browser: read in both themes, and on a phone with names as long as they may be."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Browser

from apps.accounts.models import User
from apps.core import tenancy
from apps.core.actors import Actor
from apps.jobs.models import Job
from apps.organizations.models import Membership, Organization
from tests import looking
from tests.browsing import signed_in
from tests.console.test_tenants import failed_job
from tests.factories import world
from tests.factories.people import UserFactory

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True, databases=["default", "console"]),
]


@pytest.fixture
def operator(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("operator@modelyard.test", "a-password"))
    return client


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_consoles_links_and_figures_stand_out_in_both_themes(
    browser: Browser, live_server: Any, acme: Any, actor: Actor, operator: Client, theme: str
) -> None:
    world.build(acme, actor)
    organization = reverse("admin:organizations_organization_change", args=[acme.pk])
    # The console takes its theme from the browser as it loads, so each theme is loaded for itself.
    page = signed_in(browser, live_server.url, operator, color_scheme=theme)
    found = []
    for path in ("/admin/", organization):
        page.goto(live_server.url + path)
        found += looking.contrast_faults(page, "#content")
    page.context.close()

    assert found == []


def test_a_list_on_a_phone_shows_long_words_whole(
    browser: Browser, live_server: Any, acme: Any, operator: Client
) -> None:
    with tenancy.scope(acme.pk):
        failed_job()
        Job.objects.update(label="W" * 200)
    page = signed_in(browser, live_server.url, operator, viewport=looking.PHONE)
    page.goto(live_server.url + reverse("admin:jobs_job_changelist"))

    cells = page.locator("#result_list :is(td, th):visible")
    assert all(cell.evaluate("one => one.scrollWidth <= one.clientWidth") for cell in cells.all())
    page.context.close()


def test_an_organizations_page_fits_a_phone_whatever_its_things_are_called(
    browser: Browser, live_server: Any, acme: Any, owner: Any, operator: Client
) -> None:
    with tenancy.scope(acme.pk):
        Organization.objects.update(name="W" * 80)
        Membership.objects.create(user=UserFactory(email=f"{'m' * 60}@example.test"), role="developer")
        failed_job(error_message="W" * 200)
        Job.objects.update(label="W" * 200)
    page = signed_in(browser, live_server.url, operator, viewport=looking.PHONE)
    page.goto(live_server.url + reverse("admin:organizations_organization_change", args=[acme.pk]))

    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    page.context.close()
