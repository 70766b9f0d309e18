"""The palette in a real browser: by keyboard alone, on a phone, while typing faster than the server answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Browser, Page, expect

from apps.core.actors import Actor
from tests.browsing import judge, screen, signed_in
from tests.factories import world

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

HOME = "/o/acme/"


@pytest.fixture
def page(browser: Browser, live_server: Any, acme: Any, as_owner: Client) -> Iterator[Page]:
    opened = signed_in(browser, live_server.url, as_owner)
    opened.goto(live_server.url + HOME)
    yield opened
    opened.context.close()


def field(page: Page) -> Any:
    return page.get_by_role("combobox", name="Search pages, work and actions")


def options(page: Page) -> Any:
    return page.locator("#palette [role=option]")


def test_by_keyboard_alone_to_a_row_and_back_to_it_from_the_recent_ones(page: Page, acme: Any, actor: Actor) -> None:
    dataset = world.build(acme, actor, "walnut")["dataset_id"]

    page.keyboard.press("Control+k")
    expect(field(page)).to_be_focused()
    page.keyboard.type("waln")
    expect(options(page).first).to_contain_text("walnut-data")
    expect(options(page).first).to_have_attribute("aria-selected", "true")
    expect(options(page).first.locator("mark")).to_have_text("waln")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/data/{dataset.pk}/")

    page.keyboard.press("Control+k")
    expect(page.get_by_role("group", name="Recent").get_by_role("option")).to_have_text(["walnut-data"])


def test_the_arrows_go_round_and_the_field_names_the_chosen_option(page: Page) -> None:
    page.get_by_role("button", name="Search Ctrl K").click()
    expect(options(page).first).to_be_visible()
    last = options(page).last.get_attribute("id")

    page.keyboard.press("ArrowUp")
    expect(field(page)).to_have_attribute("aria-activedescendant", str(last))
    page.keyboard.press("ArrowDown")
    expect(field(page)).to_have_attribute("aria-activedescendant", str(options(page).first.get_attribute("id")))
    expect(page.locator('#palette [aria-selected="true"]')).to_have_count(1)


def test_escape_closes_it_and_the_focus_is_where_it_was(page: Page) -> None:
    link = page.get_by_role("link", name="Models", exact=True).first
    link.focus()
    for _ in range(2):
        page.keyboard.press("Control+k")
        expect(field(page)).to_be_focused()
        page.keyboard.press("Escape")
        expect(page.locator("#palette")).to_be_hidden()
        expect(link).to_be_focused()


def test_the_single_keys_work_again_once_it_is_closed(page: Page) -> None:
    page.keyboard.press("Control+k")
    expect(field(page)).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("body")).to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("g")
    page.keyboard.press("n")
    page.wait_for_url("**/o/acme/notifications/")


def test_enter_before_the_answer_means_what_was_typed(page: Page, live_server: Any) -> None:
    page.keyboard.press("Control+k")
    expect(options(page).first).to_have_text("Home")
    page.keyboard.type("usage")
    page.keyboard.press("Enter")

    page.wait_for_url("**/o/acme/usage/")


def test_an_older_answer_never_replaces_a_newer_one(page: Page) -> None:
    held: list[Any] = []

    def hold(route: Any) -> None:
        if "q=mod&" in route.request.url:
            held.append(route)
        else:
            route.fallback()

    page.route("**/palette/**", hold)
    page.keyboard.press("Control+k")
    expect(options(page).first).to_have_text("Home")
    with page.expect_request("**/palette/?q=mod&*"):
        page.keyboard.type("mod")
    page.keyboard.press("Control+a")
    page.keyboard.type("jobs")
    expect(options(page).first).to_have_text("Jobs")
    assert held
    held[0].fulfill(body='<div><a role="option" id="older">older</a></div>')
    page.evaluate("() => new Promise(requestAnimationFrame)")

    expect(options(page).first).to_have_text("Jobs")
    assert page.locator("#older").count() == 0


def test_a_server_that_is_away_is_told_in_it_and_tried_again(page: Page) -> None:
    page.route("**/palette/**", lambda route: route.abort())
    page.keyboard.press("Control+k")
    expect(page.get_by_role("alert")).to_contain_text("The server cannot be reached.")
    expect(page.locator("#toasts [data-toast]")).to_have_count(0)

    page.unroute("**/palette/**")
    page.get_by_role("button", name="Try again").click()
    expect(options(page).first).to_have_text("Home")


def test_a_refusal_is_told_in_it(page: Page, acme: Any) -> None:
    acme.suspended_at, acme.suspended_because = acme.created_at, "the invoice of May is open"
    acme.save()

    page.keyboard.press("Control+k")

    expect(page.get_by_role("alert")).to_contain_text("the invoice of May is open")
    expect(page.locator("#toasts [data-toast]")).to_have_count(0)


def test_nothing_found_says_so(page: Page) -> None:
    page.keyboard.press("Control+k")
    page.keyboard.type("zzz")

    expect(page.locator("#palette-answer")).to_contain_text("Nothing here is called zzz.")
    expect(page.locator("[data-palette-status]")).to_have_text("Nothing found")
    expect(field(page)).to_have_attribute("aria-expanded", "false")


def test_its_actions_do_something(page: Page) -> None:
    def act(text: str) -> None:
        page.keyboard.press("Control+k")
        page.keyboard.type(text)
        page.keyboard.press("Enter")

    act("dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    act("keyboard")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    act("invite")
    expect(page.get_by_role("dialog", name="Invite somebody")).to_be_visible()
    page.keyboard.press("Escape")
    act("sign out")
    expect(page.get_by_label("Password", exact=True)).to_be_visible()


def test_it_opens_over_no_other_dialog_and_no_single_key_fires_in_it(page: Page) -> None:
    page.keyboard.press("?")
    page.keyboard.press("Control+k")
    expect(page.locator("#palette")).to_be_hidden()
    page.keyboard.press("Escape")

    page.keyboard.press("Control+k")
    page.keyboard.type("gj?")
    expect(page.locator("#keys")).to_be_hidden()
    expect(field(page)).to_have_value("gj?")
    page.keyboard.press("Control+k")
    expect(page.locator("#palette")).to_be_hidden()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_is_accessible_and_fits_a_phone(
    browser: Browser, live_server: Any, acme: Any, as_owner: Client, theme: str
) -> None:
    page = signed_in(browser, live_server.url, as_owner, **screen(360, theme, height=640))
    page.goto(live_server.url + HOME)

    page.get_by_role("button", name="Search").click()
    expect(options(page).first).to_be_visible()
    judge(page)
    page.keyboard.type("zzz")
    expect(page.locator("#palette-answer")).to_contain_text("Nothing here")
    judge(page)
    box = page.locator("#palette").bounding_box()
    assert box
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 360
    page.context.close()


def test_single_keys_do_nothing_behind_an_open_dialog_wherever_one_clicked_in_it(page: Page, live_server: Any) -> None:
    page.goto(f"{live_server.url}/o/acme/settings/members/#invite")
    dialog = page.get_by_role("dialog", name="Invite")
    dialog.get_by_role("heading").click()
    page.keyboard.press("g")
    page.keyboard.press("d")
    page.keyboard.press("?")

    expect(dialog).to_be_visible()
    expect(page.locator("#keys")).to_be_hidden()
    assert page.url.endswith("/settings/members/")
