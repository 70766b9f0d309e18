"""The trail as its page tells it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from apps.audit.models import AuditEntry
from apps.core.actors import Actor
from apps.organizations import services
from apps.organizations.models import Membership

pytestmark = pytest.mark.django_db


def test_a_change_is_told_as_before_and_after(as_owner: Any, in_acme: Any, actor: Actor, viewer: Any) -> None:
    services.change_role(Membership.objects.get(user=viewer), "developer", by=actor)
    page = as_owner.get("/o/acme/trail/").content.decode()
    assert "role: analyst → developer" in page


def test_the_trail_filters_by_who_and_what(as_owner: Any, in_acme: Any, actor: Actor, viewer: Any) -> None:
    services.change_role(Membership.objects.get(user=viewer), "developer", by=actor)
    page = as_owner.get("/o/acme/trail/?action=organization.created").content.decode()
    assert "organization.created" in page
    assert "role: analyst" not in page


def test_lists_and_single_values_are_told_as_they_are() -> None:
    entry = AuditEntry(changes={"scopes": ["a", "b", "c"], "name": "ci", "is_on": [True, False]})
    assert entry.told_changes == [("scopes", "a, b, c"), ("name", "ci"), ("is on", "yes → no")]


def test_lists_and_nothing_are_told_in_words() -> None:
    entry = AuditEntry(changes={"networks": [["10.0.0.0/8"], ["127.0.0.1/32", "::1/128"]], "ends": [None, []]})
    assert entry.told_changes == [("networks", "10.0.0.0/8 → 127.0.0.1/32, ::1/128"), ("ends", "none → none")]


def test_the_trail_stands_below_settings_in_the_navigation(as_owner: Any, acme: Any) -> None:
    page = as_owner.get("/o/acme/trail/").content.decode()
    assert re.search(r'href="/o/acme/settings/"[^>]*aria-current', page)
