"""What is wrong with a page for those who see little, zoom in, or use a finger: told by axe and by its width."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import CDPSession, Page, ViewportSize

from tests.browsing import RULES

WIDE: ViewportSize = {"width": 1280, "height": 900}
ZOOMED: ViewportSize = {"width": 640, "height": 450}  # what is left of WIDE at 200 %
PHONE: ViewportSize = {"width": 360, "height": 740}
SIZES = {"runOnly": ["target-size"]}
COLOURS = {"runOnly": ["color-contrast"]}
RUN = """axe.run(%s, %s).then(({ violations }) => JSON.stringify(violations.flatMap(({ id, nodes }) =>
  nodes.map(({ target, failureSummary }) => `${id} ${target} ${failureSummary}`))))"""


def faults(page: Page, part: str = "body") -> list[str]:
    """In both themes, at 1280 px, at 200 % zoom and at 360 px; axe looks at `part`. Leaves the page as it was."""
    session = page.context.new_cdp_session(page)
    # The protocol's own evaluation, because a page's policy rightly refuses a script that tests bring along.
    session.send("Runtime.evaluate", {"expression": AXE_SCRIPT})
    found = list(_faults(page, session, part))
    session.detach()
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(WIDE)
    return [f"{page.url} {fault}" for fault in found]


def contrast_faults(page: Page, part: str = "body") -> list[str]:
    """In the theme that the page was loaded in, for pages that do not follow the browser's afterwards."""
    session = page.context.new_cdp_session(page)
    session.send("Runtime.evaluate", {"expression": AXE_SCRIPT})
    found = list(_axe(session, part, COLOURS, page.url))
    session.detach()
    return found


def _faults(page: Page, session: CDPSession, part: str) -> Iterator[str]:
    yield from _axe(session, part, RULES, "light, 1280 px")
    page.emulate_media(color_scheme="dark")
    yield from _axe(session, part, COLOURS, "dark, 1280 px")
    for size in (ZOOMED, PHONE):
        page.set_viewport_size(size)
        wider = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if wider > 0:
            yield f"at {size['width']} px: {wider} px wider than the screen"
    yield from _axe(session, part, SIZES, "360 px")


def _axe(session: CDPSession, part: str, rules: dict[str, Any], where: str) -> Iterator[str]:
    expression = RUN % (json.dumps(part), json.dumps(rules))
    answer = session.send("Runtime.evaluate", {"expression": expression, "awaitPromise": True, "returnByValue": True})
    assert "exceptionDetails" not in answer, answer
    yield from (f"{where}: {fault}" for fault in json.loads(answer["result"]["value"]))
