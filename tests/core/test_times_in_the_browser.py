"""times.js in a real browser: its words are the server's, they follow the server's clock, and the zone is offered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.template import Context, Template
from django.templatetags.static import static
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, Page, expect

from apps.accounts import services
from apps.core import formatting, tenancy
from apps.jobs.models import Job
from tests.browsing import launched
from tests.factories import world

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

NOW = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)  # half an hour before Berlin's clocks go forward
DISTANCES_S = [
    *(0, 1, 3, 9.4, 9.999, 10, 10.6, 45, 59.4, 59.6, 60, 61, 89, 90, 119, 120, 3_599, 3_600, 5_399, 5_400, 7_199),
    *(86_399, 86_400, 129_600, 604_798, 604_800, 2_591_998, 2_592_000, 2_592_001, 2_600_000, 40_000_000),
]
A_MINUTE_MS = 60_000
JOBS = "/o/acme/jobs/"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as started:
        yield started


def signed_in(browser: Browser, live_server: Any, client: Client, **options: Any) -> BrowserContext:
    context = browser.new_context(**{"timezone_id": "UTC", **options})
    key = client.cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": key, "url": live_server.url}])
    return context


@pytest.fixture
def a_job(acme: Any, actor: Any) -> Job:
    with tenancy.scope(acme.pk):
        world.build(acme, actor)
        Job.objects.update(created_at=timezone.now() - timedelta(minutes=5))
        return Job.objects.latest("id")


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns"])
def test_the_page_says_what_the_server_would_say(
    browser: Browser, live_server: Any, as_owner: Client, zone: str
) -> None:
    context = signed_in(browser, live_server, as_owner)
    page = context.new_page()
    page.clock.set_fixed_time(NOW)
    page.route("**/o/acme/", lambda route: route.fulfill(body=_page(live_server.url, zone), content_type="text/html"))
    page.goto(f"{live_server.url}/o/acme/")
    moments = _moments(zone)
    expected = [formatting.format_relative(at, NOW.astimezone(ZoneInfo(zone))) for at in moments]
    expect(page.locator("time [aria-hidden]")).to_have_text(expected)
    context.close()


def _moments(zone: str) -> list[datetime]:
    distances = [sign * timedelta(seconds=one) for one in DISTANCES_S for sign in (1, -1)]
    return [(NOW - distance).astimezone(ZoneInfo(zone)) for distance in distances]


def _page(url: str, zone: str) -> str:
    """A page of nothing but times, whose words the script has to find."""
    with timezone.override(zone):
        times = Template("{% load core %}{% for at in moments %}<p>{{ at|when }}</p>{% endfor %}")
        body = times.render(Context({"moments": _moments(zone)}))
    emptied = body.replace('<span aria-hidden="true">', '<span aria-hidden="true">?')
    script = f'<script type="module" src="{url}{static("core/js/times.js")}"></script>'
    clock = f'<meta name="server-time" content="{NOW.isoformat(timespec="milliseconds")}">'
    return f"<!doctype html><html><head>{clock}{script}</head><body>{emptied}</body></html>"


def opened(context: BrowserContext, live_server: Any, path: str = JOBS, *, clock: datetime | None = None) -> Page:
    page = context.new_page()
    if clock:
        page.clock.install(time=clock)
    page.goto(f"{live_server.url}{path}")
    return page


def told(page: Page) -> Any:
    """The words of the list's first time."""
    return page.locator("tbody time[data-when] [aria-hidden]").first


@pytest.mark.parametrize("wrong", [timedelta(0), timedelta(hours=3), -timedelta(days=400)])
def test_times_go_on_by_the_servers_clock_also_in_fragments_that_came_later(
    browser: Browser, live_server: Any, as_owner: Client, a_job: Job, wrong: timedelta
) -> None:
    context = signed_in(browser, live_server, as_owner)
    page = opened(context, live_server, clock=timezone.now() + wrong)
    expect(told(page)).to_have_text("5 minutes ago")
    page.clock.run_for(A_MINUTE_MS)
    expect(told(page)).to_have_text("6 minutes ago")
    # The fragment is rendered by a server for which that minute has not passed, and says so in its header.
    with page.expect_response(lambda response: response.request.headers.get("hx-request") == "true"):
        page.locator("[data-live]").first.dispatch_event("live")
    expect(told(page)).to_have_text("5 minutes ago")
    page.clock.run_for(2 * A_MINUTE_MS)
    expect(told(page)).to_have_text("7 minutes ago")
    context.close()


def test_no_column_moves_while_a_time_grows(
    browser: Browser, live_server: Any, as_owner: Client, acme: Any, a_job: Job
) -> None:
    with tenancy.scope(acme.pk):
        Job.objects.update(created_at=timezone.now())
    context = signed_in(browser, live_server, as_owner)
    page = opened(context, live_server, clock=timezone.now())
    edges = "[...document.querySelectorAll('th')].map((cell) => cell.getBoundingClientRect().left)"
    expect(told(page)).to_have_text("just now")
    before = page.evaluate(edges)
    for minutes in (1, 22, 36):
        page.clock.run_for(minutes * A_MINUTE_MS)
        expect(told(page)).to_have_text(re.compile(r"minutes? ago"))
        assert page.evaluate(edges) == before
    context.close()


def test_the_exact_time_is_told_to_the_pointer_and_to_the_keyboard(
    browser: Browser, live_server: Any, as_owner: Client, owner: Any, a_job: Job
) -> None:
    services.choose_time_zone(owner, "Asia/Kathmandu")
    context = signed_in(browser, live_server, as_owner)
    page = opened(context, live_server)
    tip, time = page.locator(".time-tip"), page.locator("tbody time").first
    exact = f"{formatting.format_moment(_in_kathmandu(a_job))}\n{formatting.format_iso(a_job.created_at)}"
    assert exact.splitlines()[0].endswith("UTC+05:45")
    time.hover()
    expect(tip).to_be_visible()
    assert tip.text_content() == exact
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()
    page.locator("tbody [data-row-link]").first.focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    expect(tip).to_be_visible()
    assert tip.text_content() == exact
    context.close()


def _in_kathmandu(job: Job) -> datetime:
    return job.created_at.astimezone(ZoneInfo("Asia/Kathmandu"))


def test_a_time_outside_of_a_list_is_a_stop_of_its_own(
    browser: Browser, live_server: Any, as_owner: Client, acme: Any, a_job: Job
) -> None:
    context = signed_in(browser, live_server, as_owner)
    page = opened(context, live_server, "/o/acme/settings/")
    founded = page.locator("dd time").first
    expect(founded).to_have_attribute("tabindex", "0")
    founded.focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    expect(founded).to_be_focused()
    expect(page.locator(".time-tip")).to_contain_text(formatting.format_iso(acme.created_at))
    context.close()


class TestOffer:
    def test_another_zones_browser_is_offered_its_own_and_one_click_takes_it(
        self, browser: Browser, live_server: Any, as_owner: Client, owner: Any, a_job: Job
    ) -> None:
        context = signed_in(browser, live_server, as_owner, timezone_id="America/St_Johns")
        page = opened(context, live_server)
        offer = page.locator("[data-zone-offer]")
        expect(offer).to_contain_text("Your browser is in America/St_Johns, and times are shown in UTC.")
        offer.get_by_role("button", name="Use my browser's zone").click()
        expect(page.locator("#toasts")).to_contain_text("Your time zone is saved.")
        expect(page.locator("[data-zone-offer]")).to_be_hidden()
        local = a_job.created_at.astimezone(ZoneInfo("America/St_Johns"))
        expect(page.locator("tbody time").first).to_contain_text(formatting.format_moment(local))
        owner.refresh_from_db()
        assert owner.time_zone == "America/St_Johns"
        context.close()

    def test_it_is_offered_once_but_always_in_the_profile(
        self, browser: Browser, live_server: Any, as_owner: Client
    ) -> None:
        context = signed_in(browser, live_server, as_owner, timezone_id="America/St_Johns")
        page = opened(context, live_server)
        page.get_by_role("button", name="Not now").click()
        page.reload()
        expect(page.locator("h1")).to_be_visible()
        expect(page.locator("[data-zone-offer]")).to_be_hidden()
        page.goto(f"{live_server.url}/accounts/profile/")
        expect(page.locator("[data-zone-offer]")).to_contain_text("and your profile names no zone.")
        context.close()

    @pytest.mark.parametrize(("chosen", "browsers"), [("Asia/Kolkata", "Asia/Calcutta"), ("", "UTC")])
    def test_the_same_zone_by_another_name_is_not_offered(
        self, browser: Browser, live_server: Any, as_owner: Client, owner: Any, chosen: str, browsers: str
    ) -> None:
        services.choose_time_zone(owner, chosen)
        context = signed_in(browser, live_server, as_owner, timezone_id=browsers)
        page = opened(context, live_server, "/accounts/profile/")
        expect(page.locator("meta[name='time-zone']")).to_have_attribute("content", chosen or "UTC")
        page.wait_for_function("document.querySelector('.time-tip')")  # the module has run
        expect(page.locator("[data-zone-offer]")).to_be_hidden()
        context.close()
