"""30 days after it was closed nothing is left of an organization, anywhere, and its last owners have a receipt."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis as redis_package
from django.conf import settings
from django.core import mail
from django.db import connections
from django.test import Client
from django.utils import timezone
from psycopg import sql
from redis.asyncio import Redis as AsyncRedis

from apps.accounts.models import User
from apps.console import tasks
from apps.console.data_rights import erasure, errors, leftovers
from apps.console.data_rights.models import ErasureReceipt
from apps.core import entries, live_channel, snapshots, storage, tenancy
from apps.core.actors import Actor
from apps.organizations import services
from apps.organizations.models import Membership, Organization
from apps.usage.models import UsageEvent
from tests import database
from tests.conftest import actor_of
from tests.console.test_data_closing import close, move_request_back
from tests.factories import world
from workers.edge.snapshots import SnapshotReader

pytestmark = pytest.mark.django_db(databases=["default", "console"], transaction=True)

STREAMS = ("events:usage", "events:calls", "events:tokens", "events:bodies", "events:dead")


@pytest.fixture
def redis() -> redis_package.Redis:
    client = redis_package.Redis.from_url(settings.REDIS_URL)
    client.flushdb()
    return client


def fill(organization: Any, actor: Actor, redis: redis_package.Redis, mark: str) -> None:
    """Rows in every table, files, and everything that is kept in Redis."""
    world.build(organization, actor, mark=mark)
    with tenancy.scope(organization.pk):
        storage.store(storage.tenant_path("notes", "read.me"), io.BytesIO(b"note"))
        storage.store(storage.tenant_path("notes", ".read.me.half"), io.BytesIO(b"cut off"))
    snapshots.publish(organization.pk)
    live_channel.publish_raw(redis, organization.pk, "jobs")
    redis.set(f":1:limit:{organization.pk}:tokens", 3)
    for stream in STREAMS:
        redis.xadd(stream, {"e": json.dumps({"id": str(uuid4()), "organization_id": str(organization.pk)})})


@pytest.fixture
def both(acme: Any, globex: Any, actor: Actor, outsider: Any, redis: redis_package.Redis) -> None:
    fill(acme, actor, redis, "kestrel")
    fill(globex, actor_of(outsider, "owner"), redis, "walrus")


@pytest.fixture
def due_acme(both: None, acme: Any, actor: Actor) -> Any:
    close(acme, actor)
    move_request_back(acme, 31)
    return acme


def everywhere(needle: str) -> dict[str, int]:
    """In how many rows of which table any column holds `needle`, as a superuser reads them."""
    with database.admin(database.DATABASE) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        counts = {}
        for (table,) in tables:
            query = sql.SQL("SELECT count(*) FROM {} AS row WHERE row::text LIKE %s").format(sql.Identifier(table))
            row = connection.execute(query, [f"%{needle}%"]).fetchone()
            counts[table] = row[0] if row else 0
    return {table: count for table, count in counts.items() if count}


def in_redis(redis: redis_package.Redis, needle: str) -> list[bytes]:
    """Keys that are named after, or hold, `needle`; but for the list of what the data plane is to forget."""
    found = [key for key in redis.scan_iter() if needle.encode() in key]
    for key in redis.scan_iter():
        kind = redis.type(key)
        held = {
            b"string": lambda key=key: [redis.get(key)],
            b"set": lambda key=key: redis.smembers(key),
            b"stream": lambda key=key: [value for _, fields in redis.xrange(key) for value in fields.values()],
        }.get(kind, list)()
        if key != snapshots.ERASED.encode() and any(needle.encode() in (value or b"") for value in held):
            found.append(key)
    return found


def files_of(organization: Any) -> list[storage.StoredFile]:
    with tenancy.scope(organization.pk):
        return list(storage.stored_files())


def test_nothing_is_left_in_database_storage_and_redis_and_others_keep_all(
    due_acme: Any, globex: Any, redis: redis_package.Redis
) -> None:
    before = (everywhere(str(globex.pk)), files_of(globex), len(in_redis(redis, str(globex.pk))))
    assert len(everywhere(str(due_acme.pk))) > 25
    assert len(in_redis(redis, str(due_acme.pk))) >= 7
    receipt = erasure.erase(due_acme.pk)
    assert everywhere(str(due_acme.pk)) == {"console_erasurereceipt": 1}
    assert files_of(due_acme) == []
    assert not (Path(settings.STATE_DIR) / "objects" / str(due_acme.pk)).exists()
    assert in_redis(redis, str(due_acme.pk)) == []
    assert (everywhere(str(globex.pk)), files_of(globex), len(in_redis(redis, str(globex.pk)))) == before
    assert receipt is not None
    assert receipt.erased_at is not None


def test_others_keep_their_events_of_an_entry_that_they_shared(
    due_acme: Any, globex: Any, redis: redis_package.Redis
) -> None:
    events = [f'{{"organization_id":"{one.pk}"}}'.encode() for one in (due_acme, globex, due_acme)]
    _, command = entries.appending(("events:usage", event) for event in events)
    redis.execute_command(*command)
    before = entries.counts(redis, ["events:usage"])["events:usage"]
    erasure.erase(due_acme.pk)
    kept = [event for _, fields in redis.xrange("events:usage") for event in entries.events(fields)]
    assert events[1] in kept
    assert not any(str(due_acme.pk).encode() in event for event in kept)
    assert entries.counts(redis, ["events:usage"])["events:usage"] == before - 2


def test_the_receipt_counts_what_there_was_and_tells_nothing_of_a_person(due_acme: Any, owner: Any) -> None:
    with database.admin(database.DATABASE) as connection:
        tables = [
            table
            for (table,) in connection.execute(
                "SELECT table_name FROM information_schema.columns WHERE column_name = 'organization_id'"
                " AND table_schema = 'public' AND table_name <> 'console_erasurereceipt'"
                " AND NOT (SELECT relispartition FROM pg_class WHERE oid = table_name::text::regclass)"
            ).fetchall()
        ]
        query = sql.SQL("SELECT count(*) FROM {} WHERE organization_id = %s")
        counted = {table: query.format(sql.Identifier(table)) for table in tables}
        rows = {table: connection.execute(asked, [due_acme.pk]).fetchall()[0][0] for table, asked in counted.items()}
    files = files_of(due_acme)
    receipt = erasure.erase(due_acme.pk)
    assert receipt is not None
    assert receipt.row_counts == {table: count for table, count in rows.items() if count}
    assert (receipt.file_count, receipt.file_bytes) == (len(files), sum(file.size_bytes for file in files))
    assert receipt.name_hash == hashlib.sha256(f"{due_acme.pk}:Acme".encode()).hexdigest()
    with database.admin(database.DATABASE) as connection:
        [(told,)] = connection.execute("SELECT row::text FROM console_erasurereceipt AS row").fetchall()
    assert not [trace for trace in ("Acme", "acme", owner.email, str(owner.pk)) if trace in told]
    assert bytes(receipt.sealed_recipients) == b""


def test_the_last_owners_get_the_receipt(due_acme: Any, owner: Any) -> None:
    mail.outbox.clear()
    receipt = erasure.erase(due_acme.pk)
    assert receipt is not None
    [message] = mail.outbox
    assert message.to == [owner.email]
    assert "Acme was erased" in message.subject
    assert str(receipt.pk) in message.body
    assert receipt.name_hash in message.body


def test_the_receipt_tells_its_times_in_the_zone_that_the_organization_had(due_acme: Any) -> None:
    Organization.objects.filter(pk=due_acme.pk).update(time_zone="Asia/Kathmandu")
    mail.outbox.clear()
    erasure.erase(due_acme.pk)
    [message] = mail.outbox
    assert "Asia/Kathmandu (UTC+05:45)" in message.body


def test_a_replaced_key_costs_the_mail_and_not_the_erasure(due_acme: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        cut_off_at("_finish", patched)
        with pytest.raises(KeyboardInterrupt):
            erasure.erase(due_acme.pk)
    mail.outbox.clear()
    monkeypatch.setattr(settings, "SECRET_KEY", "another key")
    receipt = erasure.erase(due_acme.pk)
    assert receipt is not None
    assert receipt.erased_at is not None
    assert mail.outbox == []


def test_only_what_is_due_is_erased(both: None, acme: Any, globex: Any, actor: Actor) -> None:
    close(acme, actor)
    move_request_back(acme, 29)
    assert erasure.due() == []
    assert erasure.erase(acme.pk) is None
    assert erasure.erase(globex.pk) is None
    assert Organization.objects.count() == 2
    assert not ErasureReceipt.objects.exists()


def cut_off_at(step: str, monkeypatch: pytest.MonkeyPatch, calls: int = 1) -> None:
    """The process dies at the beginning of the step's last call, once."""
    real: Callable[..., Any] = getattr(erasure, step)
    left = [calls]

    def die(*given: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr(erasure, step, die)


STEPS = [
    ("_erase_files", 1),
    ("_erase_trail", 1),
    ("_erase_rows", 1),
    ("_erase_rows", 9),
    ("_erase_batch", 7),
    ("_erase_organization", 1),
    ("_erase_in_redis", 1),
    ("_require_nothing_left", 1),
    ("_finish", 1),
]


@pytest.mark.parametrize(("step", "calls"), STEPS)
def test_p6_a_run_that_was_killed_is_finished_by_the_next(
    step: str, calls: int, due_acme: Any, owner: Any, redis: redis_package.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail.outbox.clear()
    with monkeypatch.context() as patched:
        cut_off_at(step, patched, calls)
        with pytest.raises(KeyboardInterrupt):
            erasure.erase(due_acme.pk)
    assert erasure.due() == [due_acme.pk]
    assert mail.outbox == []
    receipt = erasure.erase(due_acme.pk)
    assert receipt is not None
    assert everywhere(str(due_acme.pk)) == {"console_erasurereceipt": 1}
    assert in_redis(redis, str(due_acme.pk)) == []
    assert receipt.row_counts["organizations_membership"] == 3
    assert receipt.row_counts["audit_auditentry"] > 5
    assert receipt.file_count is not None
    assert receipt.file_count > 2
    assert [message.to for message in mail.outbox] == [[owner.email]]
    assert erasure.due() == []
    assert erasure.erase(due_acme.pk) is None


# The process is killed between the removal of a batch and its count on the receipt.
KILLED = """
import os, signal, sys, uuid
import django
django.setup()
from apps.console.data_rights import erasure
erasure.ErasureReceipt.save = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
erasure._begin = lambda organization_id: erasure.ErasureReceipt.objects.get(organization_id=organization_id)
erasure.erase(uuid.UUID(sys.argv[1]))
"""


def test_p6_a_process_killed_in_the_middle_of_a_batch_loses_and_doubles_no_count(due_acme: Any) -> None:
    with tenancy.scope(due_acme.pk):
        rows = {model._meta.db_table: model.objects.count() for model in erasure.in_order_of_deletion()}
    erasure._begin(due_acme.pk)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(due_acme.pk)], cwd=database.ROOT, check=False)
    assert killed.returncode == -signal.SIGKILL
    receipt = erasure.erase(due_acme.pk)
    assert receipt is not None
    assert receipt.erased_at is not None
    assert {table: receipt.row_counts.get(table, 0) for table in rows} == rows
    assert everywhere(str(due_acme.pk)) == {"console_erasurereceipt": 1}


def test_rows_are_removed_and_counted_in_batches(due_acme: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasure, "BATCH_ROWS", 4)
    with tenancy.scope(due_acme.pk):
        before = UsageEvent.objects.count()
        UsageEvent.objects.bulk_create(
            UsageEvent(meter="predictions", quantity=1, occurred_at=timezone.now()) for _ in range(10)
        )
    receipt = erasure.erase(due_acme.pk)
    assert receipt is not None
    assert receipt.row_counts["usage_usageevent"] == before + 10


def test_what_is_left_makes_it_fail_loudly_until_it_is_gone(
    due_acme: Any, redis: redis_package.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail.outbox.clear()
    with monkeypatch.context() as patched:
        patched.setattr(storage, "delete_everything", lambda: None)
        patched.setattr(
            leftovers, "entries_of", lambda client, organization_id: iter([(b"events:dead", b"1-1", {b"e": b"{}"})])
        )
        with pytest.raises(errors.ErasureIncomplete, match="files"):
            erasure.erase(due_acme.pk)
    receipt = ErasureReceipt.objects.get()
    assert receipt.erased_at is None
    assert "redis events: 1" in receipt.problem
    assert mail.outbox == []
    assert erasure.due() == [due_acme.pk]
    finished = erasure.erase(due_acme.pk)
    assert finished is not None
    assert finished.problem == ""
    assert finished.erased_at is not None


def test_a_table_that_the_models_do_not_know_is_found(due_acme: Any) -> None:
    with database.admin(database.DATABASE) as connection:
        connection.execute("CREATE TABLE forgotten (organization_id uuid)")
        connection.execute("GRANT SELECT ON forgotten TO console")
        connection.execute("INSERT INTO forgotten VALUES (%s)", [due_acme.pk])
    try:
        with pytest.raises(errors.ErasureIncomplete, match="forgotten: 1"):
            erasure.erase(due_acme.pk)
    finally:
        with database.admin(database.DATABASE) as connection:
            connection.execute("DROP TABLE forgotten")


def test_beat_queues_one_task_for_each_that_is_due(
    due_acme: Any, globex: Any, outsider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    close(globex, actor_of(outsider, "owner"))
    move_request_back(globex, 31)
    queued: list[str] = []
    monkeypatch.setattr(tasks.erase_organization, "delay", queued.append)
    tasks.erase_due_organizations()
    assert sorted(queued) == sorted([str(due_acme.pk), str(globex.pk)])
    for organization_id in queued:
        tasks.erase_organization(organization_id)
    assert not Organization.objects.exists()
    assert {receipt.organization_id for receipt in ErasureReceipt.objects.all()} == {due_acme.pk, globex.pk}


def test_it_goes_through_although_the_last_owner_went_first(both: None, acme: Any, actor: Actor, owner: Any) -> None:
    close(acme, actor)
    services.delete_account(owner, by=actor)
    move_request_back(acme, 31)
    mail.outbox.clear()
    receipt = erasure.erase(acme.pk)
    assert receipt is not None
    assert receipt.erased_at is not None
    assert mail.outbox == []


def test_a_member_of_an_erased_organization_can_delete_the_account(due_acme: Any, owner: Any, actor: Actor) -> None:
    erasure.erase(due_acme.pk)
    assert not Membership.unscoped.using("console").filter(user=owner).exists()
    services.delete_account(owner, by=actor)
    assert not User.objects.filter(pk=owner.pk).exists()


def test_p10_two_runs_at_once_end_in_one_receipt_and_one_mail(due_acme: Any, owner: Any) -> None:
    mail.outbox.clear()
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(erasure.erase(due_acme.pk))
        finally:
            connections.close_all()

    async def both_runs() -> None:
        await asyncio.gather(*(asyncio.to_thread(run) for _ in range(2)))

    asyncio.run(both_runs())
    receipt = ErasureReceipt.objects.get()
    assert receipt.erased_at is not None
    assert receipt.row_counts["organizations_membership"] == 3
    assert [message.to for message in mail.outbox] == [[owner.email]]


def test_the_order_of_deletion_removes_what_refers_before_what_is_referred_to() -> None:
    order = erasure.in_order_of_deletion()
    for model in order:
        for field in model._meta.concrete_fields:
            if field.is_relation and field.related_model in order and field.related_model is not model:
                assert order.index(model) < order.index(field.related_model), field


def test_the_data_plane_forgets_it_in_memory_and_on_disk(due_acme: Any, globex: Any, tmp_path: Path) -> None:
    applied: list[tuple[str, bool]] = []

    async def follow() -> None:
        client = AsyncRedis.from_url(settings.REDIS_URL)
        reader = SnapshotReader(client, tmp_path, lambda s: applied.append((s.organization_id, bool(s.sections))))
        await reader.start()
        assert (tmp_path / f"{due_acme.pk}.json").exists()
        await asyncio.to_thread(snapshots.forget, due_acme.pk)
        async with asyncio.timeout(30):
            while reader.get(str(due_acme.pk)):
                await asyncio.sleep(0.01)
        assert reader.get(str(globex.pk)) is not None
        await reader.close()
        await client.aclose()

    asyncio.run(follow())
    assert applied[-1] == (str(due_acme.pk), False)
    assert [path.name for path in tmp_path.iterdir()] == [f"{globex.pk}.json"]


def test_an_edge_that_was_away_forgets_it_at_its_start(due_acme: Any, tmp_path: Path) -> None:
    kept = {"version": 1, "organization_id": str(due_acme.pk), "sections": {"tokens": {"t": {}}}}
    (tmp_path / f"{due_acme.pk}.json").write_text(json.dumps(kept))
    erasure.erase(due_acme.pk)

    async def start() -> None:
        client = AsyncRedis.from_url(settings.REDIS_URL)
        reader = SnapshotReader(client, tmp_path, lambda snapshot: None)
        await reader.start()
        assert reader.get(str(due_acme.pk)) is None
        await reader.close()
        await client.aclose()

    asyncio.run(start())
    assert not (tmp_path / f"{due_acme.pk}.json").exists()


def test_the_console_lists_the_receipts(due_acme: Any) -> None:
    erasure.erase(due_acme.pk)
    console = Client()
    console.force_login(User.objects.create_superuser("operator@modelyard.test", "a-password"))
    page = console.get("/admin/console/erasurereceipt/")
    assert [row.organization_id for row in page.context["cl"].result_list] == [due_acme.pk]
    assert str(due_acme.pk) in page.content.decode()
    row = ErasureReceipt.objects.get()
    assert console.get(f"/admin/console/erasurereceipt/{row.pk}/change/").status_code == 200


def test_a_late_publication_finds_nothing_to_publish(due_acme: Any, redis: redis_package.Redis) -> None:
    erasure.erase(due_acme.pk)
    snapshots.publish(due_acme.pk)
    assert in_redis(redis, str(due_acme.pk)) == []
