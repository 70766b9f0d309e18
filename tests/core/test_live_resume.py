"""A page that lives through lost sockets, with a real server: what it built is what a reload shows."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest
import uvicorn
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.test import Client
from playwright.sync_api import Browser, Page, WebSocketRoute, expect

from apps.core import tenancy
from apps.core.actors import Actor
from apps.organizations import services
from config.asgi import application
from tests.browsing import signed_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

INVITED = 12


class Served(ASGIStaticFilesHandler):
    """The product, with the static files of the source tree."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and self._should_handle(scope["path"]):
            await super().__call__(scope, receive, send)
        else:
            await self.application(scope, receive, send)


@pytest.fixture
def url() -> Iterator[str]:
    """A server that speaks HTTP and WebSocket; what it has open ends with it."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(Served(cast("Any", application)), lifespan="off", log_level="warning"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])), daemon=True)
    thread.start()
    yield f"http://localhost:{listening.getsockname()[1]}"
    server.should_exit = server.force_exit = True
    thread.join(timeout=30)


def members_page(browser: Browser, url: str, client: Client, sockets: list[WebSocketRoute]) -> Page:
    page = signed_in(browser, url, client)

    def through(route: WebSocketRoute) -> None:
        sockets.append(route)
        route.connect_to_server()

    page.route_web_socket("**/live/", through)
    page.goto(f"{url}/o/acme/settings/members/")
    return page


def content(page: Page) -> str:
    """The text of the page, each time as the moment it stands for: "just now" is not for long."""
    return page.evaluate(
        """() => {
            const main = document.querySelector("main").cloneNode(true);
            for (const time of main.querySelectorAll("time")) time.textContent = time.dateTime;
            return main.textContent.replace(/\\s+/g, " ");
        }"""
    )


def test_what_a_page_built_from_updates_over_broken_sockets_is_what_a_reload_shows(
    browser: Browser, url: str, as_owner: Client, acme: Any, actor: Actor
) -> None:
    sockets: list[WebSocketRoute] = []
    page = members_page(browser, url, as_owner, sockets)
    main = page.locator("main")
    for number in range(INVITED):
        if number % 4 == 2:
            sockets[-1].close(code=1012)  # as a web process that is being replaced
        with tenancy.scope(acme.pk):
            services.invite_member(f"guest-{number}@globex.test", "analyst", by=actor)
        if number % 4 in (1, 3):
            expect(main).to_contain_text(f"guest-{number}@globex.test")
    expect(page.locator("#stale")).to_be_hidden()
    built = content(page)
    page.reload(wait_until="networkidle")
    assert content(page) == built
    assert len(sockets) == 2 + INVITED // 4  # one for each break, and one after the reload
    page.context.close()
