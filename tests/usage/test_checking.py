"""The check of the ledger finds every sum that is damaged, says it, and makes it anew."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
import structlog
from django.core.management import CommandError, call_command
from django.db import transaction

from apps.core import tenancy
from apps.core.ids import uuid7
from apps.usage import checking, partitions, tasks
from apps.usage.models import UsageDay, UsageEvent, UsageSum

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "console"])

START = datetime(2026, 11, 1, 23, 45, tzinfo=UTC)


@pytest.fixture
def ledgers(acme: Any, globex: Any) -> None:
    for organization in (acme, globex):
        with tenancy.scope(organization.pk):
            UsageEvent.objects.bulk_create(
                UsageEvent(
                    id=uuid7(START),
                    meter="tokens",
                    quantity=number,
                    cost_micro_usd=number or None,
                    occurred_at=START + timedelta(minutes=10 * number),
                    dimensions={"user": f"user {number % 2}"},
                )
                for number in range(6)
            )


def damage(organization: Any, model: Any) -> None:
    with tenancy.scope(organization.pk):
        row = model.objects.order_by("id").first()
        model.objects.filter(pk=row.pk).update(quantity=row.quantity + 1)


def check(*arguments: str) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("check_ledger", *arguments, stdout=out)
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue()
    return 0, out.getvalue()


def test_sums_that_are_right_are_found_right(ledgers: None) -> None:
    assert check() == (0, "0 sums differ from their rows.\n")


@pytest.mark.parametrize("model", [UsageSum, UsageDay])
def test_a_wrong_sum_is_said_and_made_anew(ledgers: None, acme: Any, globex: Any, model: Any) -> None:
    """P10"""
    damage(acme, model)
    status, said = check()
    assert status == 1
    assert f"{model._meta.db_table} {acme.pk}" in said
    assert said.endswith("1 sums differ from their rows.\n")
    assert check("--organization", globex.slug)[0] == 0
    assert check("--organization", acme.slug)[0] == 1
    assert check("--repair")[0] == 0
    assert check() == (0, "0 sums differ from their rows.\n")


def test_a_sum_without_rows_and_rows_without_a_sum_are_differences(ledgers: None, acme: Any) -> None:
    with tenancy.scope(acme.pk):
        UsageSum.objects.filter(pk=UsageSum.objects.order_by("id").first().pk).delete()
        UsageDay.objects.create(day=START.date(), meter="invented", quantity=1, event_count=1)
    found = list(checking.differences())
    assert [(one.rows is None, one.sums is None) for one in found] == [(False, True), (True, False)]
    assert found[1].names["meter"] == "invented"


def test_what_is_written_after_a_repair_is_added_to_it(ledgers: None, acme: Any) -> None:
    damage(acme, UsageSum)
    checking.repair(acme.pk)
    with tenancy.scope(acme.pk):
        UsageEvent.objects.create(id=uuid7(START), meter="tokens", quantity=1, occurred_at=START)
    assert list(checking.differences()) == []


def test_the_nightly_check_leaves_its_result(ledgers: None, acme: Any) -> None:
    damage(acme, UsageDay)
    tasks.check_ledger()
    kept = checking.last_check()
    assert kept is not None
    assert kept["differences"] == 1
    assert datetime.fromisoformat(kept["at"]) > START


def test_a_repair_ends_the_alarm(ledgers: None, acme: Any) -> None:
    damage(acme, UsageDay)
    tasks.check_ledger()
    assert check("--repair")[0] == 0
    kept = checking.last_check()
    assert kept is not None
    assert kept["differences"] == 0


def test_an_unknown_organization_is_refused() -> None:
    with pytest.raises(CommandError, match="no organization nobody"):
        check("--organization", "nobody")


@pytest.mark.parametrize("reader", ["check", "repair"])
def test_who_reads_the_whole_ledger_and_who_makes_partitions_keep_nobody_waiting(acme: Any, reader: str) -> None:
    """Neither waits for a lock of the other's behind which producers and pages would wait too."""
    with ExitStack() as reading, structlog.testing.capture_logs() as logged:
        if reader == "check":
            reading.enter_context(checking._snapshot())
        else:
            reading.enter_context(transaction.atomic(using="console"))
            checking.repair(acme.pk)
        assert partitions.make() == 0
    assert [line["event"] for line in logged if line["log_level"] == "warning"][-1] == "partitions_wait"
