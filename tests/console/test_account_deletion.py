"""Deleting an account: proven once more, never leaving an organization without an owner, and leaving nothing behind."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client

from apps.accounts.jwt import families
from apps.accounts.models import RefreshFamily, Session, User
from apps.audit.models import AuditEntry
from apps.core import tenancy
from apps.core.errors import NotAuthenticated
from apps.organizations import queries, services
from apps.organizations.models import Membership
from tests.conftest import actor_of
from tests.factories.people import PASSWORD

pytestmark = pytest.mark.django_db

ADDRESS = "/accounts/delete/"


def signed_in(user: Any, *, proven: bool = True) -> Client:
    cache.clear()
    browser = Client()
    browser.force_login(user)
    if proven:
        browser.post(f"/accounts/reauthenticate/?next={ADDRESS}", {"password": PASSWORD})
    return browser


def test_it_asks_for_the_password_once_more(acme: Any, viewer: Any) -> None:
    browser = signed_in(viewer, proven=False)
    for answer in (browser.get(ADDRESS), browser.post(ADDRESS, {"confirmation": viewer.email})):
        assert answer["Location"].startswith("/accounts/reauthenticate/")
    assert Client().get(ADDRESS)["Location"].startswith("/accounts/login/")
    assert User.objects.filter(pk=viewer.pk).exists()


def test_a_typed_address_ends_the_account_and_all_that_signs_it_in(
    acme: Any, viewer: Any, django_capture_on_commit_callbacks: Any
) -> None:
    with tenancy.scope(acme.pk):
        _, token = services.create_token("t", ["datasets.read"], by=actor_of(viewer, "analyst"))
    access = families.start_family(viewer).access
    other = signed_in(viewer)
    browser = signed_in(viewer)
    assert viewer.email in browser.get(ADDRESS).content.decode()
    mistyped = browser.post(ADDRESS, {"confirmation": "viewer"})
    assert mistyped.status_code == 422
    assert User.objects.filter(pk=viewer.pk).exists()
    with django_capture_on_commit_callbacks(execute=True):
        assert browser.post(ADDRESS, {"confirmation": viewer.email})["Location"] == "/accounts/login/"
    assert "Your account is deleted." in browser.get("/accounts/login/").content.decode()
    assert not User.objects.filter(pk=viewer.pk).exists()
    assert not Session.objects.filter(user_id=viewer.pk).exists()
    assert not RefreshFamily.objects.filter(user_id=viewer.pk).exists()
    for left in (browser, other):
        assert left.get("/o/acme/")["Location"].startswith("/accounts/login/")
    with pytest.raises(NotAuthenticated):
        queries.token_for(token)
    assert Client().get("/api/v1/me/", headers={"Authorization": f"Bearer {access}"}).status_code == 401
    assert mail.outbox[-1].to == [viewer.email]
    assert "was deleted" in mail.outbox[-1].subject


def test_every_organization_that_is_left_has_a_line_of_it(acme: Any, globex: Any, viewer: Any) -> None:
    with tenancy.scope(globex.pk):
        Membership.objects.create(user=viewer, role="analyst")
    signed_in(viewer).post(ADDRESS, {"confirmation": viewer.email})
    for organization in (acme, globex):
        with tenancy.scope(organization.pk):
            assert AuditEntry.objects.get(action="member.left").actor_label == viewer.email
            assert not Membership.objects.filter(user_id=viewer.pk).exists()


def test_the_only_owner_is_told_where(acme: Any, globex: Any, owner: Any, viewer: Any) -> None:
    with tenancy.scope(globex.pk):
        Membership.objects.create(user=owner, role="owner")
    browser = signed_in(owner)
    refused = browser.post(ADDRESS, {"confirmation": owner.email})
    assert refused.status_code == 409
    page = refused.content.decode()
    assert "only owner of Acme" in page
    assert 'href="/o/acme/"' in page
    assert 'href="/o/globex/"' not in page
    assert {m.organization.slug for m in queries.memberships_of(owner)} == {"acme", "globex"}
    with tenancy.scope(acme.pk):
        services.transfer_ownership(Membership.objects.get(user=viewer), by=actor_of(owner, "owner"))
    assert browser.post(ADDRESS, {"confirmation": owner.email}).status_code == 302
    assert not User.objects.filter(pk=owner.pk).exists()
