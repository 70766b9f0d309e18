"""Pages that live through a stopped server while much happens: what they show is what a reload shows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from apps.core.actors import Actor
from apps.core.errors import DomainError
from apps.jobs import kinds, services
from apps.jobs.models import Job
from apps.jobs.running import RunningJob
from apps.notifications import lines
from apps.notifications.models import Notification
from apps.notifications.services import notify
from tests.browsing import DEADLINE_S, signed_in
from tests.core.web_server import WebServer
from tests.working import run_next

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# What a page says besides its times, which are told as the moments they stand for: "just now" is not for long.
CONTENT = """() => {
  const page = document.querySelector(".shell-page").cloneNode(true);
  for (const time of page.querySelectorAll("time")) time.textContent = time.dateTime;
  for (const progress of page.querySelectorAll("progress")) progress.after(` ${progress.value} `);
  for (const hidden of page.querySelectorAll("[hidden], [name=csrfmiddlewaretoken]")) hidden.remove();
  return page.textContent.replace(/\\s+/g, " ").trim();
}"""


class NoUse(DomainError):
    code = "no_use"
    detail = "Trying again would not help."


@pytest.fixture
def server() -> Iterator[WebServer]:
    started = WebServer()
    yield started
    started.stop()


@pytest.fixture
def define() -> Iterator[Callable[[Any], None]]:
    """Give the kind `test.kind` a handler for one test."""

    def _define(handler: Any) -> None:
        kinds.kind("test.kind", max_attempts=1)(handler)

    yield _define
    kinds._kinds.pop("test.kind", None)


def content(page: Page) -> str:
    text: str = page.evaluate(CONTENT)
    return text


def lives_up_to(page: Page, server: WebServer) -> None:
    """Wait until the page shows what a reload shows; what happens has ended, so that this does not change."""
    fresh = page.context.new_page()
    fresh.goto(page.url)
    wanted, deadline = content(fresh), time.monotonic() + DEADLINE_S
    while content(page) != wanted and time.monotonic() < deadline:
        page.wait_for_timeout(50)
    assert content(page) == wanted
    fresh.close()


def submit(actor: Actor, number: int) -> Job:
    return services.submit_job("test.kind", {"number": number}, by=actor, label=f"job {number}")


def opened(browser: Browser, server: WebServer, client: Any, path: str) -> Page:
    page = signed_in(browser, server.url, client)
    page.goto(f"{server.url}/o/acme/{path}")
    return page


def test_the_list_of_jobs_is_what_a_reload_shows(
    browser: Browser, server: WebServer, as_owner: Any, in_acme: Any, actor: Actor, define: Any
) -> None:
    def handler(job: RunningJob) -> None:
        number = job.input["number"]
        job.progress(0.25, f"step one of {number}")
        job.progress(0.75, f"step two of {number}")
        if number == 1:
            # Its start was told to the whole list and has been shown; from here on only the job itself tells anything.
            expect(page.locator("#jobs")).to_contain_text("step two of 1")
            job.progress(0.9, "step three of 1")
            expect(page.locator("#jobs")).to_contain_text("step three of 1")
        if number % 3 == 2:
            raise NoUse

    define(handler)
    submit(actor, 0)
    page = opened(browser, server, as_owner, "jobs/")
    expect(page.locator("#jobs")).to_contain_text("Pending")
    for number in range(1, 10):
        submit(actor, number)
        if number == 4:
            server.stop()
        run_next()
        if number == 7:
            server.start()
    services.cancel_job(Job.objects.get(label="job 9"), by=actor)
    lives_up_to(page, server)
    expect(page.locator("#stale")).to_be_hidden()
    page.context.close()


def test_a_jobs_page_is_what_a_reload_shows(
    browser: Browser, server: WebServer, as_owner: Any, in_acme: Any, actor: Actor, define: Any
) -> None:
    def handler(job: RunningJob) -> dict[str, int]:
        for number in range(12):
            job.progress(number / 12, f"fold {number}")
            job.log(f"line {number}")
            if number in (1, 10):
                expect(page.locator("#job")).to_contain_text(f"line {number}")
            if number == 4:
                server.stop()
            if number == 8:
                server.start()
        return {"folds": 12}

    define(handler)
    job = submit(actor, 0)
    page = opened(browser, server, as_owner, f"jobs/{job.pk}/")
    expect(page.locator("#job")).to_contain_text("Waits for a worker")
    run_next()
    lives_up_to(page, server)
    expect(page.locator("#job")).to_contain_text('"folds": 12')
    page.context.close()


def test_the_inbox_and_its_bell_are_what_a_reload_shows(
    browser: Browser, server: WebServer, as_owner: Any, in_acme: Any, actor: Actor, owner: Any, define: Any
) -> None:
    define(lambda job: None)
    job = submit(actor, 0)
    page = opened(browser, server, as_owner, "notifications/")
    expect(page.locator("#inbox")).to_contain_text("Nothing yet")

    def tell(number: int) -> None:
        data = {"name": f"job {number}", "kind": "test.kind", "status": "failed", "error_message": f"because {number}"}
        notify("job.failed", job, {**data, "error_code": "no_use"}, to=[owner.pk])

    for number in range(10):
        if number == 3:
            server.stop()
        tell(number)
        if number == 1:
            expect(page.locator("#inbox")).to_contain_text("because 1")
        if number == 6:
            server.start()
    # Those that come about within a minute are told as one, after the first few.
    assert Notification.objects.count() == lines.TOLD_EACH + 1
    assert Notification.objects.get(number__gt=1).number == 10
    lives_up_to(page, server)
    expect(page.locator("#inbox")).to_contain_text("10 jobs failed")
    expect(page.locator("#bell")).to_contain_text(str(lines.TOLD_EACH + 1))
    page.context.close()
