"""Doors of a suspended or closed organization that stand apart from its pages."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core import mail
from django.test import Client

from apps.core import tenancy
from apps.core.actors import Actor
from apps.organizations import services
from apps.organizations.models import Membership
from tests.console.test_data_closing import API as DELETION
from tests.console.test_data_closing import close
from tests.factories.people import UserFactory
from tests.organizations.test_suspension import suspend

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(acme: Any) -> Actor:
    return Actor("operator", None, "operator@modelyard.test", frozenset())


def shut(organization: Any, how: str, owner: Actor, operator: Actor) -> None:
    if how == "closed":
        close(organization, owner)
    else:
        suspend(organization, operator)


@pytest.mark.parametrize("how", ["closed", "suspended"])
def test_nobody_joins_by_an_invitation_that_was_sent_before(
    how: str, acme: Any, actor: Actor, operator: Actor, django_capture_on_commit_callbacks: Any
) -> None:
    guest: Any = UserFactory(email="guest@example.com")
    with tenancy.scope(acme.pk), django_capture_on_commit_callbacks(execute=True):
        services.invite_member("guest@example.com", "developer", by=actor)
    found = re.search(r"/invitations/(\S+)/", str(mail.outbox[-1].body))
    assert found
    shut(acme, how, actor, operator)
    browser = Client()
    browser.force_login(guest)
    for answer in (browser.get(found[0]), browser.post(found[0]), Client().get(found[0])):
        assert answer.status_code in (403, 409, 410)
    with tenancy.scope(acme.pk):
        assert not Membership.objects.filter(user=guest).exists()


def test_the_way_back_of_closed_organizations_is_no_way_into_a_suspended_one(
    acme: Any, operator: Actor, as_owner: Client, api_owner: Any
) -> None:
    suspend(acme, operator)
    for caller in (api_owner, as_owner):
        answer = caller.delete(DELETION)
        assert (answer.status_code, answer.json().get("code")) == (403, "organization_suspended")
    assert as_owner.post("/organizations/acme/reopen/").status_code == 403
