"""What happens at the same moment as a closing, a reopening or an erasure."""

from __future__ import annotations

import threading
from typing import Any
from uuid import UUID

import pytest
import redis as redis_package
from django.conf import settings
from django.db import ProgrammingError, connection, connections, transaction
from django.db.models.functions import Now

from apps.console import tasks
from apps.console.data_rights import erasure
from apps.console.data_rights.models import ErasureReceipt
from apps.core import snapshots
from apps.core.actors import Actor
from apps.organizations.errors import HoldOver
from apps.organizations.models import DELETION_HOLD, Organization
from tests import database
from tests.console.test_data_closing import close, move_request_back, reopen

pytestmark = pytest.mark.django_db(databases=["default", "console"], transaction=True)


def elsewhere(call: Any) -> None:
    """Do it in a thread, which has a connection and transactions of its own."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as failure:
            failures.append(failure)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


def test_who_asked_before_the_erasure_began_and_is_heard_after_it_reopens_nothing(acme: Any, actor: Actor) -> None:
    close(acme, actor)

    def begin_erasure() -> None:
        Organization.objects.filter(pk=acme.pk).update(deletion_requested_at=Now() - DELETION_HOLD)
        assert erasure._begin(acme.pk) is not None

    with transaction.atomic():
        connection.cursor().execute("SELECT now()")  # from here on, this is the transaction's time
        elsewhere(begin_erasure)
        with pytest.raises(HoldOver):
            reopen(acme, actor)
    assert Organization.objects.get(pk=acme.pk).is_closed


@pytest.mark.parametrize("publish", [tasks.publish_late_snapshots, tasks.publish_lost_snapshots])
def test_an_organization_that_is_erased_meanwhile_keeps_no_other_from_being_published(
    publish: Any, acme: Any, globex: Any, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = redis_package.Redis.from_url(settings.REDIS_URL)
    client.flushdb()
    close(acme, actor)
    move_request_back(acme, 31)
    client.flushdb()
    real = snapshots.publish

    def erased_first(organization_id: UUID) -> None:
        if organization_id == acme.pk:
            elsewhere(lambda: erasure.erase(acme.pk))
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
