"""Webhooks in the operator's console."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.audit.models import AuditEntry
from apps.core.actors import Actor
from apps.notifications.models import Delivery, WebhookEndpoint
from apps.notifications.services import webhooks as services
from tests.notifications.webhooks import failed

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "console"])


@pytest.fixture
def console() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("operator@modelyard.test", "a-password"))
    return client


def chosen(console: Client, action: str, *rows: Any) -> str:
    name = type(rows[0])._meta.model_name
    given = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    return console.post(f"/admin/notifications/{name}/", given, follow=True).content.decode()


def test_the_operator_sends_failed_deliveries_again_and_the_trail_names_them(
    console: Client, by_hand: WebhookEndpoint, actor: Actor
) -> None:
    deliveries = [failed(by_hand, actor) for _ in range(2)]
    chosen(console, "resend", *deliveries)
    assert set(Delivery.objects.values_list("status", flat=True)) == {"pending"}
    entries = AuditEntry.objects.filter(action="webhook.resent")
    assert {entry.actor_label for entry in entries} == {"operator operator@modelyard.test"}


def test_the_operator_is_told_why_a_delivery_is_not_sent_again(
    console: Client, by_hand: WebhookEndpoint, actor: Actor
) -> None:
    delivery = failed(by_hand, actor)
    services.disable_endpoint(by_hand, by=actor)
    assert "This endpoint is disabled" in chosen(console, "resend", delivery)
    delivery.refresh_from_db()
    assert delivery.status == "failed"


def test_the_console_shows_no_secret_and_costs_the_same_for_more_rows(
    console: Client, by_hand: WebhookEndpoint, actor: Actor, django_assert_max_num_queries: Any
) -> None:
    failed(by_hand, actor)
    paths = ["/admin/notifications/webhookendpoint/", "/admin/notifications/delivery/?status__exact=failed"]

    def counts() -> list[int]:
        found = []
        for path in paths:
            with django_assert_max_num_queries(30) as seen:
                assert console.get(path).status_code == 200
            found.append(len(seen))
        return found

    counts()
    one = counts()
    for number in range(2):
        failed(services.create_endpoint(f"https://hooks.example.com/{number}", by=actor), actor)
    assert counts() == one
    shown = console.get(f"{paths[0]}{by_hand.pk}/change/").content.decode()
    assert by_hand.url in shown
    assert "sealed" not in shown
