"""Amounts in the operator's console: who uses most, what plans include, what was given to whom, until when and why."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.models import AuditEntry
from apps.core import snapshots, tenancy
from apps.core.ids import uuid7
from apps.usage import entitlements, meters, services
from apps.usage.models import Entitlement, Override
from apps.usage.quotas import QuotaExceeded

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "console"])

LARGEST = "/admin/usage/organizationusage/"
OVERRIDES = "/admin/usage/override/"
ENTITLEMENTS = "/admin/usage/entitlement/"


@pytest.fixture
def console(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("operator@modelyard.test", "a-password"))
    return client


@pytest.fixture
def included(db: None) -> Entitlement:
    row, _ = Entitlement.objects.update_or_create(plan="business", meter="predictions", defaults={"included": 100})
    return row


def use(organization: Any, quantity: int) -> None:
    with tenancy.scope(organization.pk):
        services.record("predictions", quantity, event_id=uuid7())


def text_of(answer: Any) -> str:
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode())))


def grant(console: Client, organization: Any, **changes: str) -> Any:
    tomorrow = (timezone.now() + timedelta(days=1)).date().isoformat()
    given = {"meter": "predictions", "included": "250", "ends_on": tomorrow, "reason": "Launch week", **changes}
    return console.post(
        LARGEST, {"action": "grant_override", "_selected_action": str(organization.pk), **given}, follow=True
    )


def test_the_largest_users_stand_first_with_their_shares(
    console: Client, acme: Any, globex: Any, included: Entitlement
) -> None:
    use(acme, 30)
    use(globex, 90)
    page = text_of(console.get(LARGEST))
    assert page.index("Globex") < page.index("Acme")
    assert "90 · 75% of everybody's · 90% of the 100 included" in page
    assert "30 · 25% of everybody's · 30% of the 100 included" in page


def test_the_list_takes_as_many_queries_for_more_organizations(console: Client, acme: Any, request: Any) -> None:
    console.get(LARGEST)
    with CaptureQueriesContext(connections["console"]) as one:
        console.get(LARGEST)
    use(request.getfixturevalue("globex"), 1)
    with CaptureQueriesContext(connections["console"]) as two:
        console.get(LARGEST)
    assert len(one) == len(two)


def test_an_override_is_asked_for_with_its_reason_and_stands_in_the_trail(
    console: Client, acme: Any, included: Entitlement
) -> None:
    assert "Which amount?" in text_of(grant(console, acme, reason=""))
    use(acme, 50)
    grant(console, acme)
    assert "50 · 100% of everybody's · 20% of the 250 included" in text_of(console.get(LARGEST))
    with tenancy.scope(acme.pk):
        entry = AuditEntry.objects.get(action="quota_override.created")
        assert entry.changes["reason"] == "Launch week"
        assert entitlements.of(acme)["predictions"].included == 250
    page = text_of(console.get(OVERRIDES))
    assert "Launch week" in page
    assert "Counts" in page


@pytest.mark.parametrize(
    "wrong", [{"included": "-1"}, {"included": "many"}, {"ends_on": "2020-01-01"}, {"ends_on": "x"}]
)
def test_a_senseless_override_is_told_and_not_made(console: Client, acme: Any, wrong: dict[str, str]) -> None:
    assert "Acme:" in text_of(grant(console, acme, **wrong))
    assert not Override.unscoped.using("console").exists()


def test_an_override_can_be_ended(console: Client, acme: Any, included: Entitlement) -> None:
    grant(console, acme, included="")
    override = Override.unscoped.using("console").get()
    assert override.included is None
    console.post(OVERRIDES, {"action": "end_now", "_selected_action": str(override.pk)})
    with tenancy.scope(acme.pk):
        assert entitlements.of(acme)["predictions"].included == 100


def test_what_a_plan_includes_is_set_and_stands_in_its_history(console: Client, included: Entitlement) -> None:
    form = {"action": "set_amount", "_selected_action": str(included.pk)}
    assert "How much?" in text_of(console.post(ENTITLEMENTS, form))
    console.post(ENTITLEMENTS, {**form, "included": "2,000", "is_hard": "on"})
    included.refresh_from_db()
    assert (included.included, included.is_hard) == (2000, True)
    assert "From 100, told to 2,000, refusing" in LogEntry.objects.get().change_message
    console.post(ENTITLEMENTS, {**form, "included": "minus one"})
    included.refresh_from_db()
    assert included.included == 2000


def published(organization: Any) -> dict[str, int]:
    """The amounts that the data plane refuses by, as it is told now."""
    snapshots._read.clear()
    told = snapshots.read(organization.pk)
    return {meter: of["limit"] for meter, of in told.sections["usage"].items()} if told else {}


def reserve(organization: Any) -> None:
    with tenancy.scope(organization.pk):
        services.reserve(meters.PREDICTIONS, 1, event_id=uuid7())


def test_another_plan_and_another_amount_count_at_once_in_both_planes(console: Client, acme: Any) -> None:
    amount = {"included": 5, "is_hard": True}
    Entitlement.objects.update_or_create(plan="starter", meter="predictions", defaults=amount)
    use(acme, 5)
    reserve(acme)

    def set_plan(plan: str) -> None:
        form = {"action": "set_plan", "_selected_action": str(acme.pk), "plan": plan}
        console.post("/admin/organizations/organization/", form)

    set_plan("starter")
    with pytest.raises(QuotaExceeded):
        reserve(acme)
    assert published(acme) == {"predictions": 5}
    grant(console, acme, included="6")
    reserve(acme)
    assert published(acme) == {"predictions": 6}
    console.post(OVERRIDES, {"action": "end_now", "_selected_action": str(Override.unscoped.using("console").get().pk)})
    with pytest.raises(QuotaExceeded):
        reserve(acme)
    assert published(acme) == {"predictions": 5}
    set_plan("business")
    reserve(acme)
    assert published(acme) == {}
