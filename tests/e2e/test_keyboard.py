"""Every page by keyboard alone: Tab reaches every control in both directions, and where one stands is always seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Browser, Page

from apps.core.actors import Actor
from tests.architecture.doors import PAGES, address
from tests.browsing import signed_in
from tests.factories import world

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# Low, so that pages scroll under the sticky bar; wide enough for the navigation to stand beside the page.
VIEWPORT = {"width": 1000, "height": 480}
MOST_STEPS = 400

# Numbers what Tab should reach inside `part`, and gives how much that is. Of radio buttons one is reached.
EXPECT = """(part) => {
  const controls = [...document.querySelector(part).querySelectorAll(
    "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]")];
  const groups = new Set();
  const isFirstOfGroup = (one) => {
    if (one.type !== "radio" || one.checked) return true;
    const isKnown = groups.has(one.name) || document.querySelector(`[name="${one.name}"]:checked`);
    groups.add(one.name);
    return !isKnown;
  };
  const reached = controls.filter((one) => one.tabIndex >= 0 && !one.disabled && one.checkVisibility(
    { visibilityProperty: true }) && isFirstOfGroup(one));
  reached.forEach((one, index) => { one.dataset.expected = index; });
  return reached.length;
}"""

# Where the focus is: the number of the control, whether it is shown to be there, and what stands over it.
STAND = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const { outlineStyle, outlineWidth } = getComputedStyle(one);
  const box = one.getClientRects()[0];
  const [x, y] = box ? [box.x + box.width / 2, box.y + Math.min(box.height / 2, 12)] : [-1, -1];
  const top = document.elementFromPoint(x, y);
  const isOver = (other) => other === top || other?.contains(top);
  const isSeen = top !== null && (isOver(one) || top.contains(one) || isOver(one.labels?.[0]));
  return {
    number: one.dataset.expected ?? "",
    name: one.outerHTML.slice(0, 160),
    isMarked: outlineStyle !== "none" && parseFloat(outlineWidth) >= 1,
    isSeen,
    isInMain: one.closest("main") !== null && one.id !== "main",
  };
}"""


GO_BEHIND = """() => {
  const end = document.createElement("button");
  document.querySelector("main").after(end);
  end.focus();
}"""


@pytest.fixture
def page(browser: Browser, live_server: Any, acme: Any, as_owner: Client) -> Iterator[Page]:
    opened = signed_in(browser, live_server.url, as_owner, viewport=VIEWPORT, bypass_csp=True)
    yield opened
    opened.context.close()


def shown_pages(client: Client, rows: dict[str, Any]) -> list[str]:
    """The pages that a browser shows whole: neither what is posted to, nor fragments, nor files."""
    found = []
    for route, _ in PAGES:
        path = address(route, "acme", rows)
        answer = client.get(path)
        if answer.status_code == 200 and b"<html" in b"".join(answer)[:200]:
            found.append(path)
    return found


def steps(page: Page, key: str) -> Iterator[dict[str, Any]]:
    """Press the key until the focus leaves the page's content."""
    for _ in range(MOST_STEPS):
        page.keyboard.press(key)
        stand = page.evaluate(STAND)
        if stand is None or not stand["isInMain"]:
            return
        yield stand
    raise AssertionError(f"{page.url}: {key} never leaves the page")


def walk(page: Page, key: str, count: int) -> list[str]:
    """What is wrong on the way through the content."""
    faults, reached = [], set()
    for stand in steps(page, key):
        reached.add(stand["number"])
        if not stand["isMarked"]:
            faults.append(f"{key}: not seen to be focused: {stand['name']}")
        if not stand["isSeen"]:
            faults.append(f"{key}: hidden while focused: {stand['name']}")
    missed = [number for number in map(str, range(count)) if number not in reached]
    names = [page.evaluate("n => document.querySelector(`[data-expected='${n}']`)?.outerHTML", n) for n in missed]
    return faults + [f"{key}: never reached: {name}" for name in names if name]


def content_faults(page: Page) -> list[str]:
    """From the skip link through the content, and from its end back."""
    count = page.evaluate(EXPECT, "main")
    if page.evaluate("document.activeElement !== document.body"):  # a form that begins in its first field
        page.locator(".skip-link").focus()
    else:
        page.keyboard.press("Tab")
    if page.evaluate("document.activeElement.className") != "skip-link":
        return ["Tab does not begin at the skip link"]
    page.keyboard.press("Enter")
    if page.evaluate("document.activeElement.id") != "main":
        return ["the skip link leads nowhere"]
    faults = walk(page, "Tab", count)
    page.evaluate(GO_BEHIND)
    return faults + walk(page, "Shift+Tab", count)


def dialog_faults(page: Page) -> Iterator[str]:
    """Each button that opens a dialog does so by Enter; Escape closes it and brings the focus back."""
    buttons = page.locator("main [data-dialog]:visible")
    for index in range(buttons.count()):
        button = buttons.nth(index)
        button.focus()
        page.keyboard.press("Enter")
        if not page.evaluate("document.querySelector('dialog[open]')?.contains(document.activeElement)"):
            yield f"Enter opens no dialog: {button.inner_html()}"
        page.keyboard.press("Escape")
        if page.locator("dialog[open]").count() or not button.evaluate("one => one === document.activeElement"):
            yield f"Escape does not lead back: {button.inner_html()}"


def test_every_page_is_walked_by_keyboard_in_both_directions(
    page: Page, live_server: Any, acme: Any, actor: Actor, as_owner: Client
) -> None:
    rows = world.build(acme, actor)
    paths = shown_pages(as_owner, rows)
    faults = []
    for path in paths:
        page.goto(live_server.url + path)
        faults += [f"{path} {fault}" for fault in [*content_faults(page), *dialog_faults(page)]]
    assert len(paths) > 25
    assert faults == []


def test_the_shell_is_reached_and_its_menus_open_and_close_by_key(page: Page, live_server: Any) -> None:
    page.goto(f"{live_server.url}/o/acme/")
    count = page.evaluate(EXPECT, "body")
    seen = set()
    for _ in range(count + 5):
        page.keyboard.press("Tab")
        stand = page.evaluate(STAND)
        assert stand is None or (stand["isMarked"] and stand["isSeen"]), stand
        seen.add(stand and stand["number"])
    assert {str(number) for number in range(count)} <= seen

    for name in ("Switch organization", "Account"):
        summary = page.locator("summary", has_text=name)
        summary.focus()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('.menu-panel') !== null")
        page.keyboard.press("Escape")
        assert summary.evaluate("one => one === document.activeElement")
        assert page.locator("[data-menu][open]").count() == 0


def test_a_menu_closes_once_the_focus_leaves_it(page: Page, live_server: Any) -> None:
    page.goto(f"{live_server.url}/o/acme/")
    page.locator("summary", has_text="Switch organization").press("Enter")
    page.locator("nav[aria-label=Main] a").first.focus()

    assert page.locator("[data-menu][open]").count() == 0


def test_a_dialog_that_a_menu_opened_gives_the_focus_back_to_its_item(page: Page, live_server: Any) -> None:
    page.goto(f"{live_server.url}/styleguide/")
    page.locator(".page-actions summary").press("Enter")
    item = page.get_by_role("button", name="Delete", exact=True)
    item.press("Enter")
    page.keyboard.press("Escape")
    assert item.evaluate("one => one === document.activeElement")

    page.keyboard.press("Escape")
    assert page.locator(".page-actions summary").evaluate("one => one === document.activeElement")
