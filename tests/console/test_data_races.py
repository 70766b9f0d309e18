"""What happens at the same moment as a closing, a reopening or an erasure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, cast
from uuid import UUID

import pytest
import redis as redis_package
from django.conf import settings
from django.db import ProgrammingError, connection, connections, transaction
from django.db.models.functions import Now
from django.utils import timezone

from apps.audit.models import AuditEntry
from apps.console import tasks
from apps.console.data_rights import erasure
from apps.console.data_rights.models import ErasureReceipt
from apps.core import snapshots, tenancy
from apps.core.actors import Actor
from apps.deployments import services as deployments
from apps.deployments.enums import ReplicaStatus
from apps.deployments.probing import Prober
from apps.organizations import services as organizations
from apps.organizations.errors import HoldOver
from apps.organizations.models import DELETION_HOLD, Organization
from apps.usage.models import UsageEvent
from tests import database
from tests.console.test_data_closing import close, move_request_back, reopen
from tests.deployments.replicas import add_replica
from tests.deployments.test_stale import Witness
from tests.factories.serving import make_model_version
from workers.scaler.leadership import Listed
from workers.scaler.scaler import Scaler

pytestmark = pytest.mark.django_db(databases=["default", "console"], transaction=True)


def elsewhere(pool: ThreadPoolExecutor, call: Callable[[], Any]) -> Future[Any]:
    """Begin it in a thread, which has a connection and transactions of its own."""

    def run() -> Any:
        try:
            return call()
        finally:
            connections.close_all()

    return pool.submit(run)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as started:
        yield started


def test_who_asked_before_the_erasure_began_and_is_heard_after_it_reopens_nothing(
    acme: Any, actor: Actor, pool: ThreadPoolExecutor
) -> None:
    close(acme, actor)

    def begin_erasure() -> None:
        Organization.objects.filter(pk=acme.pk).update(deletion_requested_at=Now() - DELETION_HOLD)
        assert erasure._begin(acme.pk) is not None

    with transaction.atomic():
        connection.cursor().execute("SELECT now()")  # from here on, this is the transaction's time
        elsewhere(pool, begin_erasure).result()
        with pytest.raises(HoldOver):
            reopen(acme, actor)
    assert Organization.objects.get(pk=acme.pk).is_closed


@pytest.mark.parametrize("publish", [tasks.publish_late_snapshots, tasks.publish_lost_snapshots])
def test_an_organization_that_is_erased_meanwhile_keeps_no_other_from_being_published(
    publish: Any, acme: Any, globex: Any, actor: Actor, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = redis_package.Redis.from_url(settings.REDIS_URL)
    client.flushdb()
    close(acme, actor)
    move_request_back(acme, 31)
    client.flushdb()
    real = snapshots.publish

    def erased_first(organization_id: UUID) -> None:
        if organization_id == acme.pk:
            elsewhere(pool, lambda: erasure.erase(acme.pk)).result()
        real(organization_id)

    monkeypatch.setattr(snapshots, "publish", erased_first)
    publish()
    assert client.exists(snapshots.KEY.format(organization_id=globex.pk))
    assert not client.exists(snapshots.KEY.format(organization_id=acme.pk))


def test_a_table_that_the_console_may_not_read_fails_the_verification(acme: Any, actor: Actor) -> None:
    close(acme, actor)
    move_request_back(acme, 31)
    with database.admin(database.DATABASE) as admin:
        admin.execute("CREATE TABLE unreadable (organization_id uuid)")
        admin.execute("REVOKE ALL ON unreadable FROM console, PUBLIC")
        admin.execute("INSERT INTO unreadable VALUES (%s)", [acme.pk])
    try:
        with pytest.raises(ProgrammingError, match="permission denied for table unreadable"):
            erasure.erase(acme.pk)
        assert ErasureReceipt.objects.get().erased_at is None
    finally:
        with database.admin(database.DATABASE) as admin:
            admin.execute("DROP TABLE unreadable")


def test_edges_are_told_again_of_what_was_erased_once_redis_has_lost_it(acme: Any, globex: Any, actor: Actor) -> None:
    client = redis_package.Redis.from_url(settings.REDIS_URL)
    close(acme, actor)
    move_request_back(acme, 31)
    erasure.erase(acme.pk)
    client.flushdb()
    tasks.publish_lost_snapshots()
    assert client.smembers(snapshots.ERASED) == {str(acme.pk).encode()}
    assert client.smembers(snapshots.INDEX) == {str(globex.pk).encode(), snapshots.INSTALLATION.encode()}


def begun(organization: Any, by: Actor) -> ErasureReceipt:
    close(organization, by)
    move_request_back(organization, 31)
    receipt = erasure._begin(organization.pk)
    assert receipt is not None
    return receipt


def is_waited_for() -> bool:
    """Whether somebody waits for a lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        return bool(cursor.fetchone()[0])


def test_p10_of_two_runs_none_takes_a_table_for_empty_while_the_other_removes_its_rows(
    acme: Any, actor: Actor, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "BATCH_ROWS", 2)
    receipt = begun(acme, actor)
    table = UsageEvent._meta.db_table
    with tenancy.scope(acme.pk):
        UsageEvent.objects.bulk_create(
            UsageEvent(meter="predictions", quantity=1, occurred_at=timezone.now()) for _ in range(3)
        )

    def second() -> int:
        with tenancy.scope(acme.pk):
            return erasure._erase_batch(receipt, table)

    with tenancy.scope(acme.pk), transaction.atomic():
        assert erasure._erase_batch(receipt, table) == 2
        other = elsewhere(pool, second)
        while not is_waited_for():
            assert not other.done()
    assert other.result() == 1
    assert ErasureReceipt.objects.get().row_counts == {table: 3}


def test_the_scaler_goes_on_after_an_organization_with_deployments_was_erased(acme: Any, actor: Actor) -> None:
    with tenancy.scope(acme.pk):
        deployment = deployments.create_deployment("leaving", make_model_version(), by=actor)
        replica = add_replica(deployment, 0, ReplicaStatus.READY)
    prober = Prober()
    scaler = Scaler(cast(Any, Witness(replica)), prober)
    scaler.tick({deployment.pk: Listed(acme.pk, deployment.generation)}, timezone.now())
    close(acme, actor)
    move_request_back(acme, 31)
    erasure.erase(acme.pk)
    scaler.tick({}, timezone.now())
    prober.close()
    client = redis_package.Redis.from_url(settings.REDIS_URL)
    assert not client.exists(snapshots.KEY.format(organization_id=acme.pk))


def test_a_line_that_came_after_a_run_was_cut_off_is_counted_beside_the_trail_that_was_gone(
    acme: Any, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(receipt: ErasureReceipt, model: Any) -> None:
        raise KeyboardInterrupt

    close(acme, actor)
    move_request_back(acme, 31)
    with tenancy.scope(acme.pk):
        before = AuditEntry.objects.count()
    with monkeypatch.context() as patched:
        patched.setattr(erasure, "_erase_rows", die)
        with pytest.raises(KeyboardInterrupt):
            erasure.erase(acme.pk)
    with tenancy.scope(acme.pk):
        organizations.suspend_organization(acme, "somebody looked", by=Actor("operator", None, "operator", frozenset()))
    receipt = erasure.erase(acme.pk)
    assert receipt is not None
    assert receipt.row_counts[AuditEntry._meta.db_table] == before + 1
