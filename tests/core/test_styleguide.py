"""The style guide in a real browser: accessible in both themes, and its modules do what they say."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browsing import DEADLINE_S, judge, open_page, screen

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PATHS = ["/styleguide/", "/styleguide/sign-in/", "/styleguide/errors/404/"]


def wait_until(page: Page, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        page.wait_for_timeout(20)


@pytest.fixture
def guide(browser: Browser, live_server: Any) -> Iterator[Page]:
    page = open_page(browser, f"{live_server.url}/styleguide/")
    yield page
    page.context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("path", PATHS)
def test_accessible_and_no_wider_than_the_screen(
    browser: Browser, live_server: Any, path: str, width: int, theme: str
) -> None:
    page = open_page(browser, live_server.url + path, **screen(width, theme))
    judge(page)
    page.context.close()


def test_the_policy_refuses_nothing_the_page_needs(browser: Browser, live_server: Any) -> None:
    page = open_page(browser, "about:blank")
    page.add_init_script(
        "window.refused = []; addEventListener('securitypolicyviolation', (e) => refused.push(e.violatedDirective))"
    )

    response = page.goto(f"{live_server.url}/styleguide/")
    page.locator("#charts .chart-hit").first.hover()
    page.get_by_role("button", name="Show a toast").click()
    expect(page.locator("#toasts .toast-success")).to_be_visible()
    refused = page.evaluate("window.refused")
    page.context.close()

    assert response is not None
    assert "script-src" in response.headers["content-security-policy"]
    assert refused == []


def test_a_chosen_theme_outlives_the_page(guide: Page) -> None:
    guide.get_by_role("button", name="Dark").click()
    guide.reload()

    expect(guide.locator("html")).to_have_attribute("data-theme", "dark")
    expect(guide.get_by_role("button", name="Dark")).to_have_attribute("aria-pressed", "true")


def test_a_refusal_becomes_a_toast_with_its_request_id_and_stays_until_dismissed(guide: Page) -> None:
    with guide.expect_response("**/refusal/") as answer:
        guide.get_by_role("button", name="Be refused").click()

    toast = guide.locator("#toasts .toast-error")
    expect(toast).to_contain_text("Cancel the run first.")
    expect(toast.locator("[data-toast-request]")).to_have_text(answer.value.headers["x-request-id"])
    toast.get_by_role("button", name="Dismiss").click()
    expect(toast).to_have_count(0)


def test_a_toast_waits_while_somebody_points_at_it_or_stands_in_it(guide: Page) -> None:
    guide.clock.install()
    guide.get_by_role("button", name="Show a toast").click()
    toast = guide.locator("#toasts .toast-success")
    toast.hover()
    guide.clock.run_for(20_000)
    expect(toast).to_be_visible()

    toast.get_by_role("button", name="Dismiss").focus()
    guide.mouse.move(5, 5)
    guide.clock.run_for(20_000)
    expect(toast).to_be_visible()

    guide.locator("#main").focus()
    guide.clock.run_for(20_000)
    expect(toast).to_have_count(0)


def test_of_many_toasts_the_oldest_give_way_but_no_error(guide: Page) -> None:
    guide.get_by_role("button", name="Be refused").click()
    toasts = guide.locator("#toasts [data-toast]")
    expect(toasts).to_have_count(1)
    for _ in range(5):
        with guide.expect_response("**/toast/"):
            guide.get_by_role("button", name="Show a toast").click()

    expect(toasts).to_have_count(4)
    expect(guide.locator("#toasts [role=alert]")).to_have_count(1)


def test_a_toast_that_is_dismissed_by_key_leaves_the_focus_in_the_page(guide: Page) -> None:
    guide.get_by_role("button", name="Show a toast").click()
    guide.locator("#toasts").get_by_role("button", name="Dismiss").focus()
    guide.keyboard.press("Enter")

    expect(guide.locator("#main")).to_be_focused()


def test_a_wrong_form_comes_back_in_place_with_its_error(guide: Page) -> None:
    guide.get_by_role("button", name="Upload", exact=True).click()

    expect(guide.locator("#upload .field-error")).to_have_text("This field is required.")
    expect(guide.locator("#toasts .toast-error")).to_have_count(0)


def test_a_chosen_file_is_named_and_uploaded(guide: Page) -> None:
    file: Any = {"name": "customers.csv", "mimeType": "text/csv", "buffer": b"a,b\n" * 1000}
    guide.set_input_files("#upload input[type=file]", file)
    expect(guide.locator("#upload [data-dropzone-prompt]")).to_have_text("customers.csv · 4.0 kB")
    guide.get_by_role("button", name="Upload", exact=True).click()

    expect(guide.locator("#toasts .toast-success")).to_contain_text("customers.csv arrived.")


def test_hovering_a_chart_shows_the_row_of_its_table(guide: Page) -> None:
    chart = guide.locator("#charts [data-chart]").first
    chart.locator(".chart-hit").nth(30).hover()

    row = chart.locator("[data-chart-table] tbody tr").nth(30)
    for cell in row.locator("th, td").all_text_contents():
        expect(guide.locator(".chart-tip")).to_contain_text(cell)


def test_arrow_keys_read_a_chart_aloud(guide: Page) -> None:
    guide.locator("#charts svg[role=img]").nth(1).focus()
    guide.keyboard.press("ArrowRight")
    guide.keyboard.press("ArrowRight")

    expect(guide.locator("body > [aria-live=polite].visually-hidden")).to_have_text("contract, Share 22%")


def test_a_destroying_dialog_refuses_another_name(guide: Page) -> None:
    guide.locator("#actions [data-dialog=delete-sample]").click()
    guide.get_by_label("Type customers").fill("customer")
    guide.get_by_role("button", name="Delete dataset").click()

    expect(guide.locator("#delete-sample")).to_be_visible()
    assert guide.locator("#delete-sample input:invalid").count() == 1


def test_a_language_chosen_once_is_chosen_on_the_next_page(guide: Page) -> None:
    guide.get_by_role("tab", name="Python").click()
    guide.reload()

    expect(guide.get_by_role("tabpanel", name="Python")).to_be_visible()
    expect(guide.get_by_role("tabpanel", name="curl")).to_be_hidden()


def test_two_keys_follow_the_navigation_but_not_while_typing(guide: Page) -> None:
    guide.locator("[data-search]").press_sequentially("gj?")
    expect(guide.locator("#keys")).to_be_hidden()
    guide.locator("[data-search]").blur()
    guide.keyboard.press("?")
    expect(guide.locator("#keys")).to_be_visible()
    guide.keyboard.press("Escape")
    guide.keyboard.press("g")
    guide.keyboard.press("j")

    guide.wait_for_url("**/o/acme/jobs/**")


def test_on_a_phone_the_navigation_is_a_drawer(browser: Browser, live_server: Any) -> None:
    page = open_page(browser, f"{live_server.url}/styleguide/", viewport={"width": 360, "height": 740})
    drawer = page.locator("#sidebar")
    expect(drawer).to_be_hidden()

    page.get_by_role("button", name="Navigation").click()
    expect(drawer).to_be_visible()
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    page.context.close()


LIVE_PAGE = """<!DOCTYPE html><body data-live-url="/ws/o/acme/live/"><span id="stale" hidden>stale for
<i data-stale-for></i><button data-stale-retry>Retry</button></span>
<div id="job" data-live="job:1 jobs" hx-get="/fragment" hx-trigger="live" hx-swap="outerHTML">old</div>
<div id="other" data-live="run:2" hx-get="/other" hx-trigger="live">untouched</div>
<script src="/static/django_htmx/htmx-2.min.js"></script>
<script type="module" src="/static/core/js/live.js"></script>"""


def test_a_live_event_fetches_the_fragment_and_subscribes_to_its_new_topics(browser: Browser, live_server: Any) -> None:
    page = open_page(browser, "about:blank")
    sent: list[str] = []
    sockets: list[Any] = []

    def connect(socket: Any) -> None:
        def remember(message: str | bytes) -> None:
            sent.append(str(message))

        sockets.append(socket)
        socket.on_message(remember)

    page.route_web_socket("**/ws/o/acme/live/", connect)
    page.route("**/live-page", lambda route: route.fulfill(content_type="text/html", body=LIVE_PAGE))
    page.route("**/fragment", lambda route: route.fulfill(body='<div id="job" data-live="job:9">new</div>'))
    page.goto(f"{live_server.url}/live-page")
    page.wait_for_function("document.readyState === 'complete'")
    wait_until(page, lambda: len(sent) == 1)
    for _ in range(3):
        sockets[0].send('{"topic": "jobs", "event": "changed"}')

    expect(page.locator("#job")).to_have_text("new")
    wait_until(page, lambda: len(sent) == 2)
    expect(page.locator("#other")).to_have_text("untouched")
    page.context.close()

    assert [json.loads(message)["subscribe"] for message in sent] == [["job:1", "jobs", "run:2"], ["job:9", "run:2"]]


LIVE_JOB = '<div id="job" data-live="job:1 jobs" hx-get="/fragment" hx-trigger="live" hx-swap="outerHTML">new</div>'


def has(found: list[Any], count: int) -> bool:
    return len(found) >= count


def acknowledge(socket: Any) -> None:
    """Answer subscriptions as the server does."""
    answer = {"at": "2-0", "missed": None}
    socket.on_message(
        lambda message: socket.send(json.dumps({"subscribed": json.loads(message)["subscribe"], **answer}))
    )


def test_what_changed_before_the_subscription_is_fetched(browser: Browser, live_server: Any) -> None:
    page = open_page(browser, "about:blank")
    page.route_web_socket("**/ws/o/acme/live/", acknowledge)
    page.route("**/live-page", lambda route: route.fulfill(content_type="text/html", body=LIVE_PAGE))
    page.route("**/fragment", lambda route: route.fulfill(body='<div id="job" data-live="job:1">done meanwhile</div>'))
    page.route("**/other", lambda route: route.fulfill(body="done too"))
    page.goto(f"{live_server.url}/live-page")

    expect(page.locator("#job")).to_have_text("done meanwhile")
    expect(page.locator("#other")).to_have_text("done too")
    page.context.close()


def test_what_changes_while_a_fragment_is_on_its_way_is_fetched_too(browser: Browser, live_server: Any) -> None:
    page = open_page(browser, "about:blank")
    sockets: list[Any] = []
    waiting: list[Any] = []

    def connect(socket: Any) -> None:
        sockets.append(socket)

    def hold(route: Any) -> None:
        waiting.append(route)

    page.route_web_socket("**/ws/o/acme/live/", connect)
    page.route("**/live-page", lambda route: route.fulfill(content_type="text/html", body=LIVE_PAGE))
    page.route("**/fragment", hold)
    page.goto(f"{live_server.url}/live-page")
    wait_until(page, lambda: len(sockets) == 1)
    page.wait_for_timeout(100)

    def tell() -> None:
        sockets[0].send('{"topic": "jobs", "event": "changed"}')

    def answer(text: str) -> None:
        body = f'<div id="job" data-live="jobs" hx-get="/fragment" hx-trigger="live" hx-swap="outerHTML">{text}</div>'
        waiting[-1].fulfill(body=body)

    tell()
    wait_until(page, lambda: len(waiting) == 1)
    tell()
    page.wait_for_timeout(300)
    answer("older")
    wait_until(page, lambda: len(waiting) == 2)
    answer("newer")
    expect(page.locator("#job")).to_have_text("newer")
    page.context.close()


def test_a_page_without_its_socket_says_so_after_five_seconds_and_resumes_where_it_was(
    browser: Browser, live_server: Any
) -> None:
    page = open_page(browser, "about:blank")
    page.clock.install()
    sockets: list[Any] = []
    asked: list[str] = []
    fetched: list[str] = []

    def connect(socket: Any) -> None:
        sockets.append(socket)
        if len(sockets) in (1, 5):
            socket.on_message(lambda message: answer(socket, json.loads(message)))
        else:
            socket.close()

    def answer(socket: Any, message: Any) -> None:
        asked.append(message["since"])
        missed = ["run:2"] if message["since"] else None
        socket.send(json.dumps({"subscribed": message["subscribe"], "at": "7-0", "missed": missed}))

    def fulfill(route: Any) -> None:
        fetched.append(route.request.url.rsplit("/", 1)[1])
        route.fulfill(body=LIVE_JOB if fetched[-1] == "fragment" else "seen")

    page.route_web_socket("**/ws/o/acme/live/", connect)
    page.route("**/live-page", lambda route: route.fulfill(content_type="text/html", body=LIVE_PAGE))
    page.route("**/fragment", fulfill)
    page.route("**/other", fulfill)
    page.goto(f"{live_server.url}/live-page")
    wait_until(page, lambda: len(asked) == 1)
    page.clock.run_for(1000)
    wait_until(page, lambda: sorted(fetched) == ["fragment", "other"])

    sockets[0].close()
    for number in (2, 3, 4):
        page.clock.run_for(2000)
        wait_until(page, partial(has, sockets, number))
    expect(page.locator("#stale")).to_be_visible()
    expect(page.locator("[data-stale-for]")).to_have_text(re.compile(r"\d+ s"))
    page.get_by_role("button", name="Retry").click()
    wait_until(page, lambda: len(asked) == 2)
    page.clock.run_for(1000)
    expect(page.locator("#stale")).to_be_hidden()
    wait_until(page, lambda: len(fetched) == 3)
    assert asked == ["", "7-0"]
    assert fetched[2] == "other"
    page.context.close()
