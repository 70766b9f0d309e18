"""A page offers nobody what they may not do."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from apps.organizations.models import Membership

pytestmark = pytest.mark.django_db


@pytest.fixture
def as_role(in_acme: Any, viewer: Any, as_viewer: Client) -> Any:
    def browser(role: str) -> Client:
        Membership.objects.filter(user=viewer).update(role=role)
        return as_viewer

    return browser


@pytest.mark.parametrize(
    ("address", "offer", "may", "may_not"),
    [
        ("jobs/", 'href="/o/acme/data/new/"', "developer", "analyst"),
        ("usage/", "Go to deployments", "analyst", "billing"),
        ("training/", "/api/v1/training-runs/", "developer", "analyst"),
    ],
)
def test_an_empty_page_offers_what_one_may_do(address: str, offer: str, may: str, may_not: str, as_role: Any) -> None:
    assert offer in as_role(may).get(f"/o/acme/{address}").content.decode()
    assert offer not in as_role(may_not).get(f"/o/acme/{address}").content.decode()
