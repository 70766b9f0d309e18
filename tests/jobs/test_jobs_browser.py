"""The pages of jobs in a real browser: live through a stopped server, and what one does there is kept meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, expect

from apps.core import live
from apps.core.actors import Actor
from apps.jobs import dead_set, services, tail
from apps.jobs.models import Job, JobLogLine, Worker
from tests.core.test_live_pages import lives_up_to, opened
from tests.core.web_server import WebServer

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def server() -> Iterator[WebServer]:
    started = WebServer()
    yield started
    started.stop()


def dead(label: str) -> Job:
    job: Job = Job.objects.create(
        kind="nightly", queue="outside", label=label, status="dead", attempt=3, finished_at=timezone.now()
    )
    live.publish("jobs")
    return job


def write_lines(job: Job, first: int, count: int) -> None:
    lines = [JobLogLine(job=job, attempt=1, text=f"line {number}.") for number in range(first, first + count)]
    JobLogLine.objects.bulk_create(lines)
    live.publish(f"job:{job.pk}")


def test_the_dead_set_is_what_a_reload_shows_and_keeps_what_was_picked(
    browser: Browser, server: WebServer, as_owner: Any, in_acme: Any, actor: Actor
) -> None:
    picked = dead("picked")
    page = opened(browser, server, as_owner, "jobs/dead/")
    page.get_by_label("Select picked").check()
    dead("second")
    expect(page.locator("#dead")).to_contain_text("second")
    expect(page.get_by_label("Select picked")).to_be_checked()
    server.stop()
    dead("third")
    dead_set.discard_dead(Job.objects.filter(label="second"), by=actor)
    server.start()
    lives_up_to(page, server)
    expect(page.get_by_label("Select picked")).to_be_checked()
    page.get_by_role("button", name="Retry selected").click()
    expect(page.locator("#toasts")).to_contain_text("1 job will be tried again.")
    picked.refresh_from_db()
    assert picked.status == "pending"
    page.context.close()


def test_all_that_match_are_discarded_after_a_question(
    browser: Browser, server: WebServer, as_owner: Any, in_acme: Any
) -> None:
    dead("one"), dead("two")
    page = opened(browser, server, as_owner, "jobs/dead/?kind=nightly")
    page.get_by_role("button", name="Discard all 2").click()
    expect(page.get_by_role("dialog")).to_contain_text("Discard 2 dead jobs?")
    page.get_by_role("button", name="Discard them").click()
    expect(page.locator("#dead")).to_contain_text("Nothing is dead")
    assert not Job.objects.dead().exists()
    page.context.close()


def test_the_queues_are_what_a_reload_shows(
    browser: Browser, server: WebServer, as_owner: Any, in_acme: Any, actor: Actor
) -> None:
    page = opened(browser, server, as_owner, "jobs/queues/")
    expect(page.locator("#queues")).not_to_contain_text("outside")
    for number in range(5):
        services.submit_job("nightly", {}, by=actor, label=f"job {number}")
        if number == 2:
            server.stop()
    server.start()
    services.cancel_job(Job.objects.get(label="job 4"), by=actor)
    lives_up_to(page, server)
    expect(page.locator("#queues")).to_contain_text("outside")
    page.context.close()


def test_a_log_of_ten_thousand_lines_is_read_from_its_end_and_goes_on(
    browser: Browser, server: WebServer, as_owner: Any, in_acme: Any, actor: Actor
) -> None:
    job = services.submit_job("nightly", {}, by=actor, label="nightly")
    write_lines(job, 0, 10_000)
    page = opened(browser, server, as_owner, f"jobs/{job.pk}/")
    lines = page.locator(".log-line")
    expect(lines).to_have_count(tail.PAGE)
    expect(lines.last).to_be_in_viewport()
    write_lines(job, 10_000, tail.PAGE + 5)
    expect(lines).to_have_count(2 * tail.PAGE + 5)
    expect(lines.last).to_contain_text("line 10204.")
    page.get_by_role("button", name="Earlier lines").click()
    expect(lines).to_have_count(3 * tail.PAGE + 5)
    expect(lines.first).to_contain_text("line 9600.")
    texts = lines.all_inner_texts()
    assert [text.rpartition("line ")[2] for text in texts] == [f"{number}." for number in range(9600, 10_205)]
    page.context.close()


def test_what_was_opened_stays_open_while_the_page_lives(
    browser: Browser, server: WebServer, as_owner: Any, in_acme: Any
) -> None:
    job = dead("nightly")
    Job.objects.filter(pk=job.pk).update(traceback="Traceback: here", error_class="RuntimeError")
    page = opened(browser, server, as_owner, f"jobs/{job.pk}/")
    page.get_by_text("RuntimeError").click()
    expect(page.get_by_text("Traceback: here")).to_be_visible()
    Job.objects.filter(pk=job.pk).update(label="nightly, renamed")
    live.publish(f"job:{job.pk}")
    expect(page.locator("#job-state")).to_contain_text("nightly, renamed")
    expect(page.get_by_text("Traceback: here")).to_be_visible()
    page.context.close()


def test_a_worker_that_falls_silent_is_seen_without_a_reload(
    browser: Browser, server: WebServer, as_owner: Any, in_acme: Any
) -> None:
    Worker.objects.create(name="host-1-runner-1", queues=["data"], slots=1)
    page = opened(browser, server, as_owner, "jobs/queues/")
    expect(page.locator("#queues")).to_contain_text("runner")
    # What it was told of before it listened has been fetched.
    page.wait_for_load_state("networkidle")
    Worker.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=1))
    expect(page.locator("#queues")).to_contain_text("Silent")
    page.context.close()
