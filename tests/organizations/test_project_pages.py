"""The pages of projects in a real browser."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Browser, expect

from apps.core import tenancy
from apps.organizations import services
from apps.organizations.models import Project
from tests.browsing import judge, screen, signed_in

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (360, "dark")])
def test_a_project_is_made_and_a_change_in_between_is_shown(
    browser: Browser, width: int, theme: str, live_server: Any, acme: Any, as_owner: Client, actor: Any
) -> None:
    page = signed_in(browser, live_server.url, as_owner, **screen(width, theme))
    page.goto(f"{live_server.url}/o/acme/settings/projects/")
    judge(page)
    page.get_by_role("link", name="New project").click()
    page.get_by_role("button", name="Create project").click()
    expect(page.get_by_text("This field is required.")).to_be_visible()
    judge(page)
    page.get_by_label("Name").fill("Churn")
    page.get_by_role("button", name="Create project").click()
    expect(page.get_by_role("heading", name="Churn")).to_be_visible()
    judge(page)

    page.get_by_role("link", name="Edit").click()
    with tenancy.scope(acme.pk):
        services.update_project(Project.objects.get(), name="Leaving", by=actor)
    page.get_by_label("Name").fill("Staying")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("Name is now “Leaving”.")
    judge(page)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Staying")).to_be_visible()

    page.get_by_role("button", name="Delete").click()
    judge(page)
    page.get_by_role("button", name="Delete project").click()
    expect(page.get_by_text("No projects yet")).to_be_visible()
