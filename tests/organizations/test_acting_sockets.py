"""What an operator who looks as somebody hears through an open page, and until when."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.test import Client
from django.utils import timezone

from apps.accounts.models import User
from apps.core import live, tenancy
from apps.core.consumers import COME_AGAIN
from apps.organizations.models import Membership
from apps.organizations.services import acting
from apps.organizations.sockets import NOT_FOUND
from tests.core.sockets import Socket

pytestmark = pytest.mark.django_db(databases=["default", "console"], transaction=True)


@sync_to_async
def looking(organization: Any, person: Any) -> Client:
    """The console's browser of an operator who looks at the organization as the person."""
    browser = Client()
    browser.force_login(User.objects.create_superuser("operator@modelyard.test", "a-password"))
    with tenancy.scope(organization.pk):
        membership = Membership.objects.get(user=person)
    body = {"action": "act_as", "_selected_action": str(membership.pk), "reason": "a call for help"}
    browser.post("/admin/organizations/membership/", body)
    return browser


@sync_to_async
def publish(organization: Any, topic: str) -> None:
    with tenancy.scope(organization.pk):
        live.publish(topic)


async def listening(browser: Client) -> Socket:
    socket = Socket("acme", browser)
    assert await socket.connect()
    await socket.send({"subscribe": ["jobs"]})
    await socket.receive()
    return socket


async def test_ending_it_closes_its_open_pages(acme: Any, viewer: Any) -> None:
    browser = await looking(acme, viewer)
    socket = await listening(browser)
    await publish(acme, "jobs")
    assert (await socket.receive())["topic"] == "jobs"
    await sync_to_async(browser.post)("/acting/end/")
    assert await socket.closed_with() == COME_AGAIN
    again = Socket("acme", browser)
    assert await again.connect()
    assert await again.closed_with() == NOT_FOUND


async def test_an_open_page_hears_nothing_once_its_time_is_over(
    acme: Any, viewer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = await looking(acme, viewer)
    socket = await listening(browser)
    afterwards = timezone.now() + acting.LASTS
    monkeypatch.setattr(timezone, "now", lambda: afterwards)
    await publish(acme, "jobs")
    assert await socket.closed_with() == COME_AGAIN
