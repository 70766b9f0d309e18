"""The pages of data rights in a real browser: accessible, in both themes, on wide screens and phones."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Browser

from apps.console.data_rights import deletion, exports
from apps.console.data_rights.models import DataExport
from apps.core import storage, tenancy
from apps.core.actors import Actor
from apps.jobs.models import Job
from tests.browsing import judge, screen, signed_in
from tests.factories.people import PASSWORD
from tests.working import run_all

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

PAGE = "/o/acme/settings/data/"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_every_page_of_data_rights_is_accessible_and_fits(
    browser: Browser, live_server: Any, as_owner: Client, acme: Any, actor: Actor, width: int, theme: str
) -> None:
    page = signed_in(browser, live_server.url, as_owner, **screen(width, theme))
    page.goto(f"{live_server.url}{PAGE}")
    judge(page)
    with tenancy.scope(acme.pk):
        storage.store(storage.tenant_path("notes", "read.me"), io.BytesIO(b"note" * 4000))
        old = exports.start_export(by=actor)
        run_all("data")
        DataExport.objects.filter(pk=old.pk).update(expires_at=old.created_at)
        exports.start_export(by=actor)
        run_all("data")
        running = exports.start_export(by=actor)
        told = {"status": "running", "progress": 0.42, "step": "call records: 42,000 of 100,000 rows"}
        now = running.created_at
        Job.objects.filter(pk=running.job_id).update(**told, lease_until=now, started_at=now)
    page.goto(f"{live_server.url}{PAGE}")
    judge(page)
    with tenancy.scope(acme.pk):
        Job.objects.filter(pk=running.job_id).update(status="failed", finished_at=now)
    page.goto(f"{live_server.url}{PAGE}")
    judge(page)
    page.get_by_role("link", name="Delete this organization").click()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("Type Acme to confirm").fill("acme")
    page.get_by_role("button", name="Close and delete").click()
    page.locator("[aria-invalid=true]").wait_for()
    judge(page)
    page.get_by_label("Type Acme to confirm").fill("Acme")
    page.get_by_role("button", name="Close and delete").click()
    page.get_by_role("heading", name="This organization is closed").wait_for()
    judge(page)
    page.get_by_role("button", name="Reopen").click()
    page.get_by_text("is open again").wait_for()
    judge(page)
    page.context.close()


def test_an_export_is_asked_for_and_downloaded_by_buttons(
    browser: Browser, live_server: Any, as_owner: Client, acme: Any
) -> None:
    page = signed_in(browser, live_server.url, as_owner)
    page.goto(f"{live_server.url}{PAGE}")
    page.get_by_role("button", name="Export all data").click()
    page.get_by_text("Waiting for a worker").wait_for()
    with tenancy.scope(acme.pk):
        run_all("data")
    page.reload()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename.startswith("acme-")
    page.context.close()


def test_closing_closes_the_pages_of_others(
    browser: Browser, live_server: Any, as_developer: Client, acme: Any, actor: Actor
) -> None:
    page = signed_in(browser, live_server.url, as_developer)
    page.goto(f"{live_server.url}/o/acme/")
    with tenancy.scope(acme.pk):
        deletion.close_organization(acme, "Acme", by=actor)
    page.reload()
    page.get_by_role("heading", name="This organization is closed").wait_for()
    assert page.get_by_role("button", name="Reopen").count() == 0
    page.context.close()
