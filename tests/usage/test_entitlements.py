"""What may be used: by plan, by override, refused or told; and counters that always are what the ledger says (P3)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from django.core.files.base import ContentFile
from django.db import DatabaseError, connection, transaction
from django.utils import timezone
from pydantic_core import to_json

from apps.audit.models import AuditEntry
from apps.core import operators, tenancy
from apps.core.actors import Actor
from apps.core.ids import uuid7
from apps.datasets import services as datasets
from apps.datasets.models import Dataset
from apps.organizations import services as organizations
from apps.training import services as training
from apps.training.services import NewRun
from apps.usage import counting, entitlements, errors, meters, services, snapshot
from apps.usage.edge import STREAM
from apps.usage.models import Entitlement, Override
from apps.usage.quotas import QuotaExceeded, StockExceeded, refusal
from tests.factories.tables import plants_csv, ready_version

pytestmark = pytest.mark.django_db

Include = Callable[..., None]


@pytest.fixture(autouse=True)
def empty_stream() -> None:
    counting.client().delete(STREAM)


@pytest.fixture
def include(acme: Any) -> Include:
    """Let the organization's plan include so much of a meter."""

    def set_amount(meter: str, included: int | None, is_hard: bool = True) -> None:
        amount = {"included": included, "is_hard": is_hard}
        Entitlement.objects.update_or_create(plan=acme.plan, meter=meter, defaults=amount)

    return set_amount


@pytest.fixture
def operator(owner: Any) -> Actor:
    return Actor("operator", owner.pk, "Operator", frozenset(), owner.pk)


def use(quantity: int, meter: str = "predictions", at: datetime | None = None) -> None:
    services.record(meter, quantity, event_id=uuid7(at), occurred_at=at)


def counter_of(meter: meters.Meter = meters.PREDICTIONS) -> Any:
    (amount,) = entitlements.enforced(meter)
    return entitlements.counter(amount, timezone.now())


def in_stream(organization: Any, quantity: int, **changes: Any) -> dict[str, Any]:
    event = {"id": str(uuid7()), "organization_id": str(organization.pk), "meter": "predictions", "quantity": quantity}
    event |= {"at": timezone.now().isoformat(), "dimensions": {}, **changes}
    counting.client().xadd(STREAM, {"e": to_json(event)})
    return event


def test_nobody_is_refused_by_the_plan_that_everybody_has(in_acme: Any) -> None:
    assert entitlements.enforced() == []
    assert {name: amount.is_hard for name, amount in entitlements.of(in_acme).items()} == dict.fromkeys(
        meters.METERS, False
    )
    services.reserve(meters.PREDICTIONS, 10**12, event_id=uuid7())


def test_the_plans_amounts_are_rows_that_the_migration_wrote(db: None) -> None:
    assert Entitlement.objects.count() == 3 * len(meters.METERS)
    assert Entitlement.objects.get(plan="starter", meter="predictions").is_hard


def test_an_override_counts_until_it_ends_and_leaves_its_reason(
    in_acme: Any, include: Include, operator: Actor
) -> None:
    include("predictions", 10)
    override = entitlements.grant_override("predictions", 50, timezone.now() + timedelta(days=1), "Launch", by=operator)
    assert entitlements.of(in_acme)["predictions"].included == 50
    assert AuditEntry.objects.get(action="quota_override.created").changes["reason"] == "Launch"
    Override.objects.filter(pk=override.pk).update(ends_at=timezone.now())
    assert entitlements.of(in_acme)["predictions"].included == 10


def test_an_override_can_be_ended_before_and_another_one_made(in_acme: Any, include: Include, operator: Actor) -> None:
    include("predictions", 10)
    soon = timezone.now() + timedelta(days=1)
    first = entitlements.grant_override("predictions", 50, soon, "Launch", by=operator)
    entitlements.grant_override("predictions", None, soon, "Free of charge", by=operator)
    assert entitlements.of(in_acme)["predictions"].included is None
    entitlements.end_override(entitlements.of(in_acme)["predictions"].override, by=operator)
    assert entitlements.of(in_acme)["predictions"].override == first
    assert AuditEntry.objects.filter(action="quota_override.ended").count() == 1


@pytest.mark.parametrize(
    ("wrong", "refused"),
    [
        ({"included": -1}, errors.WrongAmount),
        ({"included": 2**60}, errors.WrongAmount),
        ({"reason": ""}, errors.ReasonMissing),
        ({"ends_at": datetime(2020, 1, 1, tzinfo=UTC)}, errors.EndPassed),
    ],
)
def test_a_senseless_override_is_refused(in_acme: Any, operator: Actor, wrong: dict[str, Any], refused: Any) -> None:
    right = {"meter": "predictions", "included": 1, "ends_at": timezone.now() + timedelta(days=1), "reason": "Why not"}
    with pytest.raises(refused):
        entitlements.grant_override(**{**right, **wrong}, by=operator)


def test_only_an_operator_changes_amounts(in_acme: Any, actor: Actor, operator: Actor) -> None:
    row = Entitlement.objects.get(plan="team", meter="predictions")
    with pytest.raises(operators.OperatorNeeded):
        entitlements.set_entitlement(row, 1, True, by=actor)
    with pytest.raises(operators.OperatorNeeded):
        entitlements.grant_override("predictions", 1, timezone.now() + timedelta(days=1), "Mine", by=actor)
    assert entitlements.set_entitlement(row, 1, False, by=operator).included == 1


def test_what_another_organization_was_given_is_nobody_elses(
    in_acme: Any, globex: Any, include: Include, operator: Actor
) -> None:
    include("predictions", 10)
    with tenancy.scope(globex.pk):
        entitlements.grant_override("predictions", 50, timezone.now() + timedelta(days=1), "Launch", by=operator)
    assert entitlements.of(in_acme)["predictions"].included == 10


def test_what_is_used_up_is_refused_until_the_month_ends(in_acme: Any, include: Include) -> None:
    include("predictions", 10)
    use(7)
    services.reserve(meters.PREDICTIONS, 3, event_id=uuid7())
    with pytest.raises(QuotaExceeded) as refused:
        services.reserve(meters.PREDICTIONS, 1, event_id=uuid7())
    assert (refused.value.status, refused.value.code) == (429, "quota_exceeded")
    assert "10 of 10" in refused.value.message


def test_the_refusal_says_when_the_month_begins_anew() -> None:
    error = refusal(meters.PREDICTIONS, 10, 10, datetime(2026, 12, 31, 23, 59, 30, tzinfo=UTC))
    assert (error.headers["Retry-After"], "1 Jan 2027 (UTC)" in error.message) == ("31", True)


def test_what_last_month_used_does_not_count(in_acme: Any, include: Include) -> None:
    include("predictions", 10)
    use(10, at=timezone.now() - timedelta(days=31))
    services.reserve(meters.PREDICTIONS, 10, event_id=uuid7())


def test_without_redis_the_ledger_decides(in_acme: Any, include: Include, monkeypatch: pytest.MonkeyPatch) -> None:
    include("predictions", 10)
    away = redis.Redis.from_url("redis://127.0.0.1:1/0")
    monkeypatch.setattr(counting, "quotas", lambda: counting.Quotas(away))
    use(7)
    services.reserve(meters.PREDICTIONS, 3, event_id=uuid7())
    with pytest.raises(QuotaExceeded):
        services.reserve(meters.PREDICTIONS, 4, event_id=uuid7())


def test_p3_a_counter_made_anew_is_the_ledger_and_what_is_on_its_way(
    in_acme: Any, globex: Any, include: Include
) -> None:
    include("predictions", 1000)
    use(3)
    use(5, at=timezone.now() - timedelta(days=40))
    use(100, "training_ms")
    stored_too = in_stream(in_acme, 7)
    services.record("predictions", 7, event_id=stored_too["id"])
    in_stream(in_acme, 11)
    in_stream(in_acme, 13, meter="tokens")
    in_stream(in_acme, 17, at="2020-01-01T00:00:00+00:00")
    in_stream(globex, 19)
    counting.client().xadd(STREAM, {"e": b"no JSON"})
    counter = counter_of()
    counting.client().delete(*counter.keys)
    assert counting.rebuild(counter) == 3 + 7 + 11
    assert counting.rebuild(counter) == 3 + 7 + 11


def test_p3_what_was_settled_and_is_not_in_the_stream_yet_is_counted_once(in_acme: Any, include: Include) -> None:
    include("predictions", 1000)
    counter, event = counter_of(), uuid7()
    counting.quotas().settle({counter: 4}, event)
    assert counting.rebuild(counter) == 4
    in_stream(in_acme, 4, id=str(event))
    assert counting.rebuild(counter) == 4


def test_what_is_recorded_is_settled_at_the_commit_and_not_before(
    in_acme: Any, include: Include, django_capture_on_commit_callbacks: Any
) -> None:
    include("predictions", 1000)
    counter = counter_of()
    counting.rebuild(counter)
    with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
        use(4)
        assert counting.quotas().reserve({counter: 0}, uuid7(), 1).totals[counter] == 0
    assert counting.quotas().reserve({counter: 0}, uuid7(), 1).totals[counter] == 4


def test_the_clock_restores_what_redis_lost(in_acme: Any, include: Include) -> None:
    include("predictions", 1000)
    use(9)
    counter = counter_of()
    counting.client().delete(*counter.keys)
    assert counting.restore() == 1
    assert counting.quotas().reserve({counter: 0}, uuid7(), 1).totals[counter] == 9
    assert counting.restore() == 0


def test_looking_for_lost_counters_costs_the_same_for_many_organizations(
    in_acme: Any, outsider: Any, include: Include, django_assert_num_queries: Any
) -> None:
    include("predictions", 1000)
    counting.restore()
    with django_assert_num_queries(2):
        assert counting.restore() == 0
    for number in range(3):
        organizations.create_organization(f"More {number}", outsider, slug=f"more-{number}")
    assert counting.restore() == 3
    with django_assert_num_queries(2):
        assert counting.restore() == 0


def test_the_data_plane_is_told_of_what_refuses_and_of_nothing_else(in_acme: Any, include: Include) -> None:
    assert snapshot.compile_section() == {}
    include("predictions", 1000)
    include("training_ms", 1000)
    use(9)
    period = f"{timezone.now():%Y-%m}"
    assert snapshot.compile_section() == {"predictions": {"limit": 1000, "period": period, "used": 9}}


def test_an_upload_without_room_is_refused_and_leaves_nothing(
    in_acme: Any, include: Include, actor: Actor, django_capture_on_commit_callbacks: Any
) -> None:
    content = plants_csv().encode()
    include("stored_bytes", len(content) + 10)
    with django_capture_on_commit_callbacks(execute=True):
        datasets.create_dataset("Plants", ContentFile(content, "plants.csv"), by=actor)
    assert counting.used(meters.STORED_BYTES, timezone.now()) == len(content)
    with pytest.raises(StockExceeded) as refused:
        datasets.create_dataset("More", ContentFile(content + b"1,2,3\n", "more.csv"), by=actor)
    assert refused.value.status == 409
    with django_capture_on_commit_callbacks(execute=True):
        datasets.delete_dataset(Dataset.objects.get(name="Plants"), by=actor)
    assert counting.used(meters.STORED_BYTES, timezone.now()) == 0
    datasets.create_dataset("More", ContentFile(content + b"1,2,3\n", "more.csv"), by=actor)


def test_what_a_failed_upload_reserved_is_given_back_and_its_error_is_told(
    in_acme: Any, include: Include, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    include("stored_bytes", 10_000)
    counting.rebuild(counter_of(meters.STORED_BYTES))

    def refused(*arguments: Any, **fields: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")

    monkeypatch.setattr(datasets, "_new_version", refused)
    with pytest.raises(DatabaseError, match="division by zero"), transaction.atomic():
        datasets.create_dataset("Plants", ContentFile(plants_csv().encode(), "plants.csv"), by=actor)
    counter = counter_of(meters.STORED_BYTES)
    assert counting.quotas().reserve({counter: 0}, uuid7(), 1).totals[counter] == 0


def test_stored_data_is_what_the_versions_take(in_acme: Any, actor: Actor) -> None:
    version = ready_version("Plants", plants_csv(), actor)
    assert counting.used(meters.STORED_BYTES, timezone.now()) == version.size_bytes


def test_training_is_refused_once_its_time_is_used_up(in_acme: Any, include: Include, actor: Actor) -> None:
    version = ready_version("Plants", plants_csv(), actor)
    include("training_ms", 1000)
    use(1000, "training_ms")
    with pytest.raises(QuotaExceeded):
        training.create_run(NewRun("Plants", version, "species"), by=actor)
