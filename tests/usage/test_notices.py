"""Owners and who pays are told once of each step, whatever the number of organizations."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.core import tenancy
from apps.core.actors import Actor
from apps.core.ids import uuid7
from apps.notifications.models import Notification
from apps.organizations import services as organizations
from apps.usage import entitlements, services, tasks
from apps.usage.models import Entitlement

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "console"])


@pytest.fixture(autouse=True)
def included(acme: Any) -> None:
    amount = {"included": 100, "is_hard": False}
    Entitlement.objects.update_or_create(plan=acme.plan, meter="predictions", defaults=amount)


def use(organization: Any, quantity: int, meter: str = "predictions") -> None:
    with tenancy.scope(organization.pk):
        services.record(meter, quantity, event_id=uuid7())


def told(organization: Any) -> list[str]:
    with tenancy.scope(organization.pk):
        rows = Notification.objects.filter(event="quota.reached").order_by("id")
        return list(rows.values_list("title", flat=True))


def test_owners_are_told_once_of_eighty_and_of_a_hundred_percent(acme: Any, owner: Any) -> None:
    for used, steps in ((79, []), (1, ["80 %"]), (10, ["80 %"]), (10, ["80 %", "100 "]), (50, ["80 %", "100 "])):
        use(acme, used)
        tasks.tell_of_quotas()
        assert [title[:4] for title in told(acme)] == steps
    with tenancy.scope(acme.pk):
        rows = Notification.objects.filter(event="quota.reached")
        assert set(rows.values_list("user", flat=True)) == {owner.pk}
        assert "Nothing is refused" in rows.last().text


def test_each_organization_is_told_of_its_own_use_and_its_own_amount(acme: Any, globex: Any, owner: Any) -> None:
    use(acme, 90)
    use(globex, 90)
    with tenancy.scope(globex.pk):
        by = Actor("operator", owner.pk, "Operator", frozenset(), owner.pk)
        entitlements.grant_override("predictions", 1000, timezone.now() + timedelta(days=1), "Launch", by=by)
    tasks.tell_of_quotas()
    assert (len(told(acme)), told(globex)) == (1, [])


def test_what_last_month_used_is_not_told_and_what_is_stored_is(acme: Any) -> None:
    amount = {"included": 100, "is_hard": False}
    Entitlement.objects.update_or_create(plan=acme.plan, meter="stored_bytes", defaults=amount)
    at = timezone.now() - timedelta(days=32)
    with tenancy.scope(acme.pk):
        for meter in ("predictions", "stored_bytes"):
            services.record(meter, 90, event_id=uuid7(at), occurred_at=at)
    tasks.tell_of_quotas()
    (title,) = told(acme)
    assert "stored data" in title


def test_looking_takes_as_many_queries_for_more_organizations(acme: Any, owner: Any) -> None:
    counts = []
    for slug in ("initech", "umbrella"):
        with (
            CaptureQueriesContext(connections["default"]) as own,
            CaptureQueriesContext(connections["console"]) as rest,
        ):
            tasks.tell_of_quotas()
        counts.append(len(own) + len(rest))
        use(organizations.create_organization(slug.capitalize(), owner, slug=slug), 10)
    assert counts[0] == counts[1]
