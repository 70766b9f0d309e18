"""The main job as a person does it, in a real browser, and every page of the product judged on the way."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from apps.console.sample import data
from tests.browsing import judge, open_page, screen
from tests.e2e.installation import ROOT, Installation

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.xdist_group("installation")]

SCREENSHOTS = ROOT / "artifacts" / "screenshots"
WORK_MS = 180_000
PAGES = [
    *("", "data/", "data/new/", "training/", "training/new/", "models/", "deployments/", "deployments/new/"),
    *("jobs/", "usage/", "calls/", "settings/", "settings/members/", "settings/tokens/", "trail/"),
]
LISTS_WITH_ROWS = ["data/", "training/", "models/", "deployments/", "jobs/", "calls/"]


def signed_in(browser: Browser, installation: Installation, person: str = "owner", **options: object) -> Page:
    page = open_page(browser, f"{installation.url}/accounts/login/", **options)
    login = installation.sample["acme"]["users"][person]
    page.get_by_label("Email").fill(login["email"])
    page.get_by_label("Password", exact=True).fill(login["password"])
    page.keyboard.press("Enter")
    page.wait_for_url("**/o/acme/**")
    return page


def test_a_csv_becomes_an_endpoint_without_a_reload(
    browser: Browser, installation: Installation, tmp_path: Path
) -> None:
    page = signed_in(browser, installation)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))

    page.goto(f"{installation.url}/o/acme/data/new/")
    page.set_input_files("input[type=file]", data.write_csv(tmp_path / "rentals.csv"))
    page.get_by_label("Name").fill("rentals by hand")
    page.get_by_role("button", name="Create dataset").click()
    expect(page.get_by_role("heading", name="rentals by hand")).to_be_visible()
    expect(page.locator("main").get_by_text("2,939", exact=True)).to_be_visible(timeout=WORK_MS)

    page.get_by_role("link", name="Train a model").click()
    page.get_by_label("Name", exact=True).fill("by hand")
    page.get_by_label("Target").select_option(data.TARGET)
    page.get_by_role("button", name="Start training").click()
    expect(page.get_by_role("link", name="Open the model")).to_be_visible(timeout=WORK_MS)
    page.screenshot(path=SCREENSHOTS / "training.png", full_page=True)

    page.get_by_role("link", name="Open the model").click()
    page.locator("main").get_by_role("link", name="Deploy", exact=True).click()
    page.locator("input[name=name]").fill("by-hand")
    page.locator("main").get_by_role("button", name="Deploy").click()
    expect(page.locator("main .page-title").get_by_text("Ready")).to_be_visible(timeout=WORK_MS)
    assert complaints == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_every_page_is_accessible_and_fits(
    browser: Browser, installation: Installation, width: int, theme: str
) -> None:
    page = signed_in(browser, installation, **screen(width, theme))
    addresses = [f"/o/acme/{path}" for path in PAGES]
    for path in LISTS_WITH_ROWS:
        page.goto(f"{installation.url}/o/acme/{path}")
        addresses.append(str(page.locator("tbody a").first.get_attribute("href")))
    for address in addresses:
        response = page.goto(installation.url + address)
        assert response
        assert response.status == 200, address
        page.screenshot(path=SCREENSHOTS / theme / str(width) / f"{address.strip('/').replace('/', '_')}.png")
        judge(page)
    page.context.close()


@pytest.mark.parametrize("path", ["/accounts/login/", "/accounts/signup/", "/accounts/password/reset/", "/nowhere/"])
def test_pages_before_the_login_are_accessible(browser: Browser, installation: Installation, path: str) -> None:
    page = open_page(browser, installation.url + path, bypass_csp=True)
    judge(page)
    page.context.close()


def test_an_analyst_sees_the_work_and_no_way_to_change_it(browser: Browser, installation: Installation) -> None:
    page = signed_in(browser, installation, "analyst")
    page.goto(f"{installation.url}/o/acme/deployments/")
    page.locator("tbody a").first.click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert page.get_by_role("button", name="Stop").count() == 0
    page.context.close()
