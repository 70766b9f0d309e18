"""The gateway's pages in a real browser: both themes, a phone's width, by keyboard."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, Page, Route, expect

from apps.core import tenancy
from apps.core.actors import Actor
from apps.gateway import services
from apps.gateway.models import Route as GatewayRoute
from apps.gateway.models import Upstream
from tests import looking
from tests.browsing import signed_in
from tests.gateway.test_pages import make_call, make_route, spend

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def made(acme: Any) -> GatewayRoute:
    with tenancy.scope(acme.pk):
        make_call()
        make_call(status=502, error_code="upstream_failed", error_class="overloaded", cost_micro_usd=None)
        return make_route()


@pytest.fixture
def page(browser: Browser, live_server: Any, made: GatewayRoute, as_owner: Client) -> Iterator[Page]:
    opened = signed_in(browser, live_server.url, as_owner, bypass_csp=True)
    yield opened
    opened.context.close()


PAGES = (
    "",
    "routes/new/",
    "upstreams/",
    "upstreams/new/",
    "health/",
    "keys/",
    "keys/new/",
    "calls/",
    "prices/",
    "prices/new/",
    "playground/",
)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_readable_in_both_themes_and_on_a_phone(path: str, page: Page, live_server: Any) -> None:
    page.goto(f"{live_server.url}/o/acme/gateway/{path}")
    assert looking.faults(page) == []


def test_the_pages_of_a_route_an_upstream_and_a_call_are_readable(
    page: Page, live_server: Any, acme: Any, actor: Actor, made: GatewayRoute
) -> None:
    with tenancy.scope(acme.pk):
        upstream, call = Upstream.objects.get(), make_call()
        bounds = {"requests_per_minute": 60, "tokens_per_minute": 90_000, "tags": {"team": "support"}}
        key, _ = services.create_key("support bot", budget_micro_usd=25_000_000, by=actor, **bounds)
        spend(key, 21_340_000)
    of_key = (f"keys/{key.pk}/", f"keys/{key.pk}/edit/", "keys/")
    for path in (f"routes/{made.pk}/", f"upstreams/{upstream.pk}/", f"calls/{call.pk}/", *of_key):
        page.goto(f"{live_server.url}/o/acme/gateway/{path}")
        assert looking.faults(page) == []


def streamed(pieces: list[str]) -> str:
    events = [json.dumps({"choices": [{"delta": {"content": piece}}]}) for piece in pieces]
    return "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"])


def answers(page: Page, **answer: Any) -> None:
    """What the data plane, which no test here runs, says to the page."""
    headers = {"access-control-allow-origin": "*", "access-control-allow-headers": "*"}
    exposed = {**headers, "access-control-expose-headers": "x-request-id", "x-request-id": "req_played"}

    def fulfil(route: Route) -> None:
        route.fulfill(**{"status": 200, "headers": exposed, **answer})

    page.route(f"{settings.EDGE_URL}/v1/chat/completions", fulfil)


def test_the_playground_shows_an_answer_as_text_and_what_it_took(page: Page, live_server: Any, acme: Any) -> None:
    answers(page, body=streamed(["Hello ", "<b>you</b>"]))
    with tenancy.scope(acme.pk):
        make_call(request_id="req_played")
    page.goto(f"{live_server.url}/o/acme/gateway/playground/")
    page.get_by_label("Message", exact=True).press("Control+Enter")
    expect(page.locator("#playground-text")).to_have_text("Hello <b>you</b>")
    expect(page.locator("#playground-call")).to_contain_text("$0.0018")


def test_the_playground_tells_why_there_is_no_answer(page: Page, live_server: Any) -> None:
    answers(page, status=429, body=json.dumps({"error": {"message": "The budget is used up."}}))
    page.goto(f"{live_server.url}/o/acme/gateway/playground/")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#playground-problem")).to_contain_text("The budget is used up.")


def test_another_target_is_added_and_enter_saves_the_route(page: Page, live_server: Any, acme: Any) -> None:
    page.goto(f"{live_server.url}/o/acme/gateway/routes/new/")
    page.get_by_label("Name", exact=True).fill("team/chat")
    page.get_by_label("Answers").select_option("Provider of small")
    page.get_by_label("Its name for the model").fill("m-1")
    page.get_by_role("button", name="Another target").click()
    expect(page.get_by_role("heading", name="Target 2")).to_be_visible()
    page.get_by_label("Name", exact=True).press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("team/chat")
