"""Webhooks in the page and the API: what each button does, and what a longer list costs."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from apps.audit.models import AuditEntry
from apps.core.actors import Actor
from apps.notifications.models import DeliveryAttempt, WebhookEndpoint
from apps.notifications.services import webhooks as services
from apps.notifications.webhooks import clock
from tests.notifications.webhooks import failed

pytestmark = pytest.mark.django_db
PAGES = "/o/acme/notifications/"
API = "/api/v1/"


def page_of(endpoint: WebhookEndpoint, action: str = "") -> str:
    return f"{PAGES}webhooks/{endpoint.pk}/{action}"


def test_a_new_endpoint_shows_its_secret_once_and_no_cache_keeps_it(as_owner: Client, in_acme: Any) -> None:
    answer = as_owner.post(f"{PAGES}webhooks/new/", {"url": "https://hooks.example.com/b", "events": ["job.failed"]})
    endpoint = WebhookEndpoint.objects.get()
    assert (endpoint.url, endpoint.events) == ("https://hooks.example.com/b", ["job.failed"])
    assert "whsec_" in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    assert "whsec_" not in as_owner.get(page_of(endpoint)).content.decode()


@pytest.mark.parametrize("url", ["not a url", "ftp://example.com/", "http://10.0.0.1/hook"])
def test_an_address_that_cannot_be_called_is_refused_beside_its_field(as_owner: Client, in_acme: Any, url: str) -> None:
    answer = as_owner.post(f"{PAGES}webhooks/new/", {"url": url})
    assert answer.status_code == 422
    assert url in answer.content.decode()
    assert not WebhookEndpoint.objects.exists()


def test_the_buttons_of_an_endpoint_do_what_they_say(as_owner: Client, by_hand: WebhookEndpoint) -> None:
    before = bytes(by_hand.sealed_secret)
    as_owner.post(page_of(by_hand, "rotate/"), {"overlap": "24"})
    as_owner.post(page_of(by_hand, "edit/"), {"url": "https://hooks.example.com/c", "description": "Tells the pager"})
    by_hand.refresh_from_db()
    assert bytes(by_hand.sealed_previous_secret or b"") == before
    assert (by_hand.url, by_hand.description) == ("https://hooks.example.com/c", "Tells the pager")
    as_owner.post(page_of(by_hand, "disable/"))
    assert "Disabled by owner@acme.test" in as_owner.get(page_of(by_hand)).content.decode()
    assert as_owner.post(page_of(by_hand, "test/")).status_code == 409
    as_owner.post(page_of(by_hand, "enable/"))
    assert as_owner.post(page_of(by_hand, "test/")).status_code == 303
    as_owner.post(page_of(by_hand, "delete/"))
    assert not WebhookEndpoint.objects.exists()
    actions = set(AuditEntry.objects.filter(subject_id=by_hand.pk).values_list("action", flat=True))
    expected = ["created", "rotated", "secret_shown", "updated", "disabled", "enabled", "tested", "deleted"]
    assert actions == {f"webhook.{one}" for one in expected}


def test_a_failed_delivery_is_sent_again_from_its_page(
    as_owner: Client, by_hand: WebhookEndpoint, actor: Actor
) -> None:
    delivery = failed(by_hand, actor)
    page = f"{PAGES}deliveries/{delivery.pk}/"
    assert "refused" in as_owner.get(page).content.decode()
    as_owner.post(f"{page}resend/")
    delivery.refresh_from_db()
    assert (delivery.status, delivery.attempt) == ("pending", 1)


def test_the_status_narrows_an_endpoints_deliveries(as_owner: Client, by_hand: WebhookEndpoint, actor: Actor) -> None:
    broken, waiting = failed(by_hand, actor), services.send_test(by_hand, by=actor)
    shown = as_owner.get(page_of(by_hand), {"status": "failed"}).content.decode()
    assert str(broken.pk) in shown
    assert str(waiting.pk) not in shown


def test_a_longer_list_takes_no_more_queries(
    as_owner: Client, api_owner: Any, by_hand: WebhookEndpoint, actor: Actor, django_assert_max_num_queries: Any
) -> None:
    delivery = failed(by_hand, actor)
    asked = [
        (as_owner, f"{PAGES}webhooks/"),
        (as_owner, page_of(by_hand)),
        (as_owner, f"{PAGES}deliveries/{delivery.pk}/"),
        (api_owner, f"{API}webhooks/"),
        (api_owner, f"{API}webhook-deliveries/"),
        (api_owner, f"{API}webhook-deliveries/{delivery.pk}/"),
    ]

    def counts() -> dict[str, int]:
        found = {}
        for client, path in asked:
            with django_assert_max_num_queries(30) as seen:
                assert client.get(path).status_code == 200
            found[path] = len(seen)
        return found

    counts()  # the first request of a client notes that it is there
    one = counts()
    for number in range(2, 4):
        services.create_endpoint(f"https://hooks.example.com/{number}", by=actor)
        failed(by_hand, actor)
        DeliveryAttempt.objects.create(delivery=delivery, number=number, url=by_hand.url, started_at=clock.now())
    assert counts() == one


def test_webhooks_stand_below_the_settings_and_notifications_do_not(as_owner: Client) -> None:
    marked = re.compile(r'href="/o/acme/settings/"[^>]*aria-current="page"')
    assert marked.search(as_owner.get("/o/acme/notifications/webhooks/").content.decode())
    assert not marked.search(as_owner.get("/o/acme/notifications/").content.decode())
