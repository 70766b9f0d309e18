"""The bell and the inbox in a real browser, with a real server: live, by keyboard, in both themes, on phones."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Browser, Page, expect

from apps.core import tenancy
from apps.jobs.models import Job
from apps.notifications.models import Notification
from tests.browsing import judge, screen, signed_in
from tests.working import fail

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

INBOX = "/o/acme/notifications/"


def fail_a_job(acme: Any, developer: Any, label: str) -> Job:
    with tenancy.scope(acme.pk):
        job = Job.objects.create(kind="test.kind", queue="default", label=label, created_by_id=developer.pk)
        return fail(job, "There is no column price.")


def bell(page: Page) -> Any:
    return page.get_by_role("link", name="Notifications")


def listening(page: Page, url: str) -> None:
    """Open the page, and wait until its socket is told of what happens."""
    with page.expect_websocket() as opened:
        page.goto(url)
    opened.value.wait_for_event("framereceived")


def test_what_happens_arrives_in_the_bell_and_the_open_inbox_and_reading_takes_it_away(
    browser: Browser, url: str, as_developer: Client, acme: Any, developer: Any
) -> None:
    page = signed_in(browser, url, as_developer)
    listening(page, f"{url}{INBOX}")
    expect(page.get_by_text("Nothing yet")).to_be_visible()
    for number, name in enumerate(("Train churn", "Train prices", "Train leaving"), start=1):
        fail_a_job(acme, developer, name)
        expect(bell(page)).to_have_accessible_name(f"Notifications, {number} unread")
        expect(page.get_by_role("button", name=f"{name} failed")).to_be_visible()
    page.get_by_role("button", name="Mark read").first.click()
    expect(bell(page)).to_have_accessible_name("Notifications, 2 unread")
    page.get_by_role("button", name="Mark all read").click()
    expect(bell(page)).to_have_accessible_name("Notifications")
    with tenancy.scope(acme.pk):
        assert not Notification.objects.filter(read_at__isnull=True).exists()
    page.context.close()


def test_reading_in_one_window_counts_down_in_another(
    browser: Browser, url: str, as_developer: Client, acme: Any, developer: Any
) -> None:
    fail_a_job(acme, developer, "Train churn")
    one, other = (signed_in(browser, url, as_developer) for _ in range(2))
    listening(other, f"{url}/o/acme/jobs/")
    expect(bell(other)).to_have_accessible_name("Notifications, 1 unread")
    one.goto(f"{url}{INBOX}")
    one.get_by_role("button", name="Mark read").click()
    expect(bell(other)).to_have_accessible_name("Notifications")
    for page in (one, other):
        page.context.close()


def test_the_bell_does_not_fade_while_it_counts_again(
    browser: Browser, url: str, as_developer: Client, acme: Any, developer: Any
) -> None:
    page = signed_in(browser, url, as_developer)
    listening(page, f"{url}{INBOX}")
    asked: list[Any] = []
    page.route("**/notifications/bell/", lambda route: asked.append(route))
    with page.expect_request("**/notifications/bell/"):
        fail_a_job(acme, developer, "Train churn")
    waiting = page.locator("#bell.htmx-request")
    expect(waiting).to_have_css("opacity", "1")
    asked.pop().continue_()
    expect(bell(page)).to_have_accessible_name("Notifications, 1 unread")
    page.context.close()


def press_tab_until(page: Page, name: str) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.innerText.trim()") == name:
            return
    raise AssertionError(f"The keyboard does not reach {name}")


def test_the_inbox_is_read_by_keyboard_alone(
    browser: Browser, url: str, as_developer: Client, acme: Any, developer: Any
) -> None:
    job = fail_a_job(acme, developer, "Train churn")
    page = signed_in(browser, url, as_developer)
    page.goto(f"{url}/o/acme/jobs/")
    press_tab_until(page, "Notifications, 1 unread\n1")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{INBOX}")
    press_tab_until(page, "Train churn failed")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/o/acme/jobs/{job.pk}/")
    expect(bell(page)).to_have_accessible_name("Notifications")
    page.context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_the_inbox_and_its_preferences_are_accessible_and_fit(
    browser: Browser, url: str, as_developer: Client, acme: Any, developer: Any, width: int, theme: str
) -> None:
    page = signed_in(browser, url, as_developer, **screen(width, theme))
    page.goto(f"{url}{INBOX}")
    judge(page)
    fail_a_job(acme, developer, "Train a model of who leaves, from all that was known about them before")
    for path in (INBOX, f"{INBOX}?show=unread", f"{INBOX}preferences/"):
        page.goto(f"{url}{path}")
        judge(page)
    page.context.close()


def test_the_focus_stays_on_its_line_while_others_arrive(
    browser: Browser, url: str, as_developer: Client, acme: Any, developer: Any
) -> None:
    page = signed_in(browser, url, as_developer)
    fail_a_job(acme, developer, "Train churn")
    listening(page, f"{url}{INBOX}")
    title = page.get_by_role("button", name="Train churn failed")
    title.focus()
    fail_a_job(acme, developer, "Train prices")
    expect(page.get_by_role("button", name="Train prices failed")).to_be_visible()

    expect(title).to_be_focused()
    page.context.close()


# The list is replaced, and something else before the focus is back in it.
REPLACED_TOGETHER = """() => {
  const tell = (name, target) => document.dispatchEvent(new CustomEvent(name, { detail: { target } }));
  const list = document.activeElement.closest("[data-live]");
  tell("htmx:beforeSwap", list);
  document.activeElement.blur();
  tell("htmx:beforeSwap", document.querySelector("header"));
  tell("htmx:afterSettle", list);
}"""


def test_the_focus_comes_back_though_something_else_is_replaced_meanwhile(
    browser: Browser, url: str, as_developer: Client, acme: Any, developer: Any
) -> None:
    page = signed_in(browser, url, as_developer)
    fail_a_job(acme, developer, "Train churn")
    page.goto(f"{url}{INBOX}")
    title = page.get_by_role("button", name="Train churn failed")
    title.focus()
    page.evaluate(REPLACED_TOGETHER)
    expect(title).to_be_focused()
    page.context.close()
