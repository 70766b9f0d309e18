"""The operator's view of organizations: counts across tenants, and actions that act in the tenant's own trail."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.models import User
from apps.audit.models import AuditEntry
from apps.core import tenancy
from apps.organizations import errors, services
from apps.organizations.models import Invitation, Membership
from tests.conftest import actor_of

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "console"])


@pytest.fixture
def console(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("operator@modelyard.test", "a-password"))
    return client


def act(console: Client, model: str, action: str, *rows: Any) -> Any:
    body = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    return console.post(reverse(f"admin:organizations_{model}_changelist"), body, follow=True)


def test_organizations_come_with_how_many_members_they_have(console: Client, acme: Any, globex: Any) -> None:
    page = console.get(reverse("admin:organizations_organization_changelist"))
    counts = {row.slug: row.member_count for row in page.context["cl"].result_list}
    assert counts == {"acme": 3, "globex": 1}


def test_the_operator_removes_a_member_but_never_the_last_owner(
    console: Client, acme: Any, owner: Any, viewer: Any
) -> None:
    with tenancy.scope(acme.pk):
        rows = [Membership.objects.get(user=user) for user in (owner, viewer)]
    answer = act(console, "membership", "remove", *rows)
    assert errors.LastOwner.detail in answer.content.decode()
    with tenancy.scope(acme.pk):
        assert list(Membership.objects.filter(pk__in=[row.pk for row in rows])) == [rows[0]]
        entry = AuditEntry.objects.get(action="member.removed")
        assert (entry.actor_kind, entry.actor_label) == ("operator", "operator operator@modelyard.test")


def test_the_operator_revokes_an_invitation_and_never_sees_its_hash(console: Client, acme: Any, owner: Any) -> None:
    with tenancy.scope(acme.pk):
        row = services.invite_member("guest@elsewhere.test", "analyst", by=actor_of(owner, "owner"))
    page = console.get(reverse("admin:organizations_invitation_change", args=[row.pk]))
    assert "guest@elsewhere.test" in page.content.decode()
    assert row.secret_hash not in page.content.decode()
    act(console, "invitation", "revoke", row)
    with tenancy.scope(acme.pk):
        assert Invitation.objects.get(pk=row.pk).status == "revoked"
