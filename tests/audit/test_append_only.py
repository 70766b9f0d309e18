"""The database lets nobody change the trail; old entries expire, and a whole trail goes with its organization."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from celery import current_app
from django.db import IntegrityError, ProgrammingError, connections, transaction
from django.utils import timezone

from apps.audit import services, tasks
from apps.audit.models import AuditEntry
from apps.core import tenancy
from apps.core.actors import Actor
from apps.organizations.models import Organization
from tests import database
from tests.isolation import DATABASE

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "console", "owner"])

ATTACKS = (
    "UPDATE audit_auditentry SET actor_label = 'nobody'",
    "UPDATE audit_auditentry SET actor_label = 'nobody' WHERE false",
    "DELETE FROM audit_auditentry",
    "TRUNCATE audit_auditentry",
    "MERGE INTO audit_auditentry USING (SELECT 1) AS one ON true WHEN MATCHED THEN DELETE",
    "INSERT INTO audit_auditentry SELECT * FROM audit_auditentry ON CONFLICT (id) DO UPDATE SET action = 'x'",
    "ALTER TABLE audit_auditentry DISABLE TRIGGER audit_append_only",
    "DROP TRIGGER audit_append_only ON audit_auditentry",
    "ALTER TABLE audit_auditentry DISABLE TRIGGER ALL",
    "SET session_replication_role = 'replica'",
    "CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    "DROP FUNCTION audit_refuse() CASCADE",
    "ALTER TABLE audit_auditentry NO FORCE ROW LEVEL SECURITY",
    "DROP TABLE audit_auditentry",
    "CREATE RULE forget AS ON INSERT TO audit_auditentry DO INSTEAD NOTHING",
    "CREATE TRIGGER forget BEFORE INSERT ON audit_auditentry EXECUTE FUNCTION audit_refuse()",
    "LOCK TABLE audit_auditentry IN ACCESS EXCLUSIVE MODE",
    "SET ROLE owner",
)


def entry_ids() -> list[Any]:
    return list(AuditEntry.objects.values_list("pk", flat=True))


def told_long_ago(entry: AuditEntry, days: int) -> None:
    """As if `days` had passed since; only the superuser can, who switches the triggers off."""
    with database.admin(DATABASE) as connection:
        connection.execute("SET session_replication_role = 'replica'")
        moment = timezone.now() - timedelta(days=days)
        connection.execute("UPDATE audit_auditentry SET created_at = %s WHERE id = %s", [moment, entry.pk])


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("role", ["default", "console"])
@pytest.mark.parametrize("prelude", ["SELECT 1", "SET LOCAL app.audit_removal = 'on'"])
def test_no_role_that_serves_changes_the_trail_by_raw_sql(in_acme: Any, role: str, attack: str, prelude: str) -> None:
    before = list(AuditEntry.objects.order_by("pk").values())
    cursor = connections[role].cursor()
    with pytest.raises(ProgrammingError) as refusal, transaction.atomic(using=role):
        cursor.execute(prelude)
        cursor.execute(attack)
    assert isinstance(refusal.value.__cause__, psycopg.errors.InsufficientPrivilege)
    assert list(AuditEntry.objects.order_by("pk").values()) == before != []


@pytest.mark.parametrize("attack", ATTACKS[:5])
def test_a_slip_of_the_tables_owner_is_refused_too(in_acme: Any, attack: str) -> None:
    with pytest.raises(ProgrammingError, match="append-only"), connections["owner"].cursor() as cursor:
        cursor.execute(attack)
    assert entry_ids()


def test_the_orm_neither_changes_nor_removes_an_entry(in_acme: Any) -> None:
    entry = AuditEntry.objects.get()
    entry.actor_label = "nobody"
    for attempt in (
        entry.save,
        entry.delete,
        AuditEntry.objects.all().delete,
        lambda: AuditEntry.objects.update(action="x"),
        lambda: AuditEntry.objects.bulk_update([entry], ["actor_label"]),
    ):
        with pytest.raises(ProgrammingError), transaction.atomic():
            attempt()
    assert AuditEntry.objects.get().actor_label == "owner@acme.test"


@pytest.fixture
def old_and_new(acme: Any, globex: Any, actor: Actor) -> dict[str, AuditEntry]:
    """An entry of 400 days ago and one of today in acme, one of 400 days ago in globex, which keeps them longer."""
    Organization.objects.filter(pk=globex.pk).update(audit_retention_days=500)
    with tenancy.scope(globex.pk):
        longer = services.record(actor, "globex.old", globex)
    with tenancy.scope(acme.pk):
        entries = {name: services.record(actor, f"acme.{name}", acme) for name in ("old", "new")}
    for entry in (entries["old"], longer):
        told_long_ago(entry, 400)
    return {**entries, "longer": longer}


@pytest.fixture
def beaten() -> Iterator[None]:
    """What the beat sends is run at once, as a worker runs it."""
    current_app.conf.task_always_eager = True
    yield
    current_app.conf.task_always_eager = False


def test_the_beat_expires_what_each_organization_keeps_no_longer(
    old_and_new: dict[str, AuditEntry], acme: Any, globex: Any, beaten: None
) -> None:
    tasks.expire_trails.delay()
    with tenancy.scope(acme.pk):
        assert old_and_new["old"].pk not in entry_ids()
        assert old_and_new["new"].pk in entry_ids()
    with tenancy.scope(globex.pk):
        assert old_and_new["longer"].pk in entry_ids()


def test_expiring_takes_more_than_one_batch(
    old_and_new: dict[str, AuditEntry], in_acme: Any, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(4):
        told_long_ago(services.record(actor, "acme.older", in_acme), 500)
    monkeypatch.setattr(services, "EXPIRY_BATCH", 2)
    assert services.expire_trail() == 5
    assert services.expire_trail() == 0


def test_nothing_expires_or_is_erased_outside_a_tenant(old_and_new: dict[str, AuditEntry], acme: Any) -> None:
    with pytest.raises(tenancy.TenantNotSet):
        services.expire_trail()
    with pytest.raises(tenancy.TenantNotSet):
        services.erase_trail()
    for role, function in (("default", "audit_expire(100)"), ("console", "audit_erase()")):
        with connections[role].cursor() as cursor:
            cursor.execute(f"SELECT {function}")
            assert cursor.fetchone() == (0,)


def test_the_trail_is_kept_a_month_at_least(acme: Any) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Organization.objects.filter(pk=acme.pk).update(audit_retention_days=29)


def test_erasing_empties_one_trail_and_lets_its_organization_go(
    old_and_new: dict[str, AuditEntry], acme: Any, globex: Any
) -> None:
    with tenancy.scope(globex.pk):
        kept = entry_ids()
    with tenancy.scope(acme.pk):
        assert services.erase_trail() == 3
        assert entry_ids() == []
        acme.delete()
    with tenancy.scope(globex.pk):
        assert entry_ids() == kept != []


def test_the_runtime_role_cannot_erase_a_trail(in_acme: Any) -> None:
    with pytest.raises(ProgrammingError, match="audit_erase"), connections["default"].cursor() as cursor:
        cursor.execute("SELECT audit_erase()")


def test_no_organization_goes_while_it_has_a_trail(in_acme: Any) -> None:
    with pytest.raises(IntegrityError):
        in_acme.delete()
