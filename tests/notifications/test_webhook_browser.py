"""The pages of webhooks in a real browser: accessible, in both themes, on wide screens and phones."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Browser

from apps.core import tenancy
from apps.core.actors import Actor
from apps.notifications.services import webhooks as services
from apps.notifications.webhooks import dispatch, outbox
from tests.browsing import judge, screen, signed_in
from tests.stand_ins import receiver
from tests.stand_ins.receiver import answering

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db(transaction=True)]

PAGES = "/o/acme/notifications/"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_every_page_of_webhooks_is_accessible_and_fits(
    browser: Browser, live_server: Any, as_owner: Client, acme: Any, actor: Actor, settings: Any, width: int, theme: str
) -> None:
    settings.OUTBOUND_ALLOWED_NETWORKS = ["127.0.0.1/32"]
    page = signed_in(browser, live_server.url, as_owner, **screen(width, theme))
    page.goto(f"{live_server.url}{PAGES}webhooks/")
    judge(page)
    with receiver.running() as far_end:
        with tenancy.scope(acme.pk):
            endpoint = services.create_endpoint(far_end.url, by=actor, description="Tells the pager")
            services.send_test(endpoint, by=actor)
        dispatch.dispatch()
        far_end.answer = answering(500, b'{"error": "out of order"}')
        with tenancy.scope(acme.pk):
            failing = services.send_test(endpoint, by=actor)
            callbacks = services.callback_endpoint(by=actor)
            callback = outbox.Callback(
                f"{far_end.url}?job={300 * 'x'}", endpoint.pk, "job.dead", {"name": "Train tonight"}
            )
            (called_back,) = outbox.call_back(callbacks, [callback])
        dispatch.dispatch()
    with tenancy.scope(acme.pk):
        services.rotate_secret(endpoint, by=actor)
    paths = ("webhooks/", "webhooks/new/", f"webhooks/{endpoint.pk}/", f"webhooks/{endpoint.pk}/edit/")
    of_callbacks = (f"webhooks/{callbacks.pk}/", f"deliveries/{called_back.pk}/")
    for path in (*paths, *of_callbacks, f"deliveries/{failing.pk}/"):
        page.goto(f"{live_server.url}{PAGES}{path}")
        judge(page)
    page.goto(f"{live_server.url}{PAGES}webhooks/{endpoint.pk}/")
    page.get_by_role("button", name="Show secret").click()
    page.get_by_text("Check every message with it").wait_for()
    judge(page)
    page.context.close()
