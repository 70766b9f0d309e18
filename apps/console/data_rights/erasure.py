"""Erasing an organization when its time to be reopened is over.

Every step can be cut off at any point and run again, by several at once too; the organization's own row goes last of
its rows, and the receipt says what is left to do once it is gone.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from graphlib import TopologicalSorter
from typing import Any
from uuid import UUID

import redis
import structlog
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from apps.accounts import mail
from apps.audit import services as audit
from apps.audit.models import AuditEntry
from apps.console.data_rights import leftovers
from apps.console.data_rights.contents import tenant_models
from apps.console.data_rights.errors import ErasureIncomplete
from apps.console.data_rights.models import ErasureReceipt
from apps.core import entries, sealing, snapshots, storage, tenancy
from apps.organizations import queries as organizations
from apps.organizations.models import Organization

BATCH_ROWS = 5_000

log = structlog.get_logger(__name__)


def due() -> list[UUID]:
    """Organizations to be erased: those whose time is over, and those whose erasure was cut off."""
    unfinished = ErasureReceipt.objects.filter(erased_at__isnull=True).values_list("organization_id", flat=True)
    return sorted({*organizations.due_for_erasure().values_list("pk", flat=True), *unfinished})


def erased() -> QuerySet[Any, UUID]:
    """Organizations that were erased."""
    return ErasureReceipt.objects.filter(erased_at__isnull=False).values_list("organization_id", flat=True)


def erase(organization_id: UUID) -> ErasureReceipt | None:
    """Erase all of an organization that is due, and look for what is left. None: it is not due.

    Raises `ErasureIncomplete`; the next run begins anew.
    """
    receipt = _begin(organization_id)
    if receipt is None:
        return None
    with tenancy.scope(organization_id):
        _erase_files(receipt)
        _erase_trail(receipt)
        for model in in_order_of_deletion():
            _erase_rows(receipt, model)
        _erase_organization(organization_id)
    snapshots.forget(organization_id)
    _erase_in_redis(organization_id)
    _require_nothing_left(receipt)
    return _finish(receipt)


def name_hash(organization_id: UUID, name: str) -> str:
    """What a receipt keeps of the name: whoever knows id and name can check that it is theirs."""
    return hashlib.sha256(f"{organization_id}:{name}".encode()).hexdigest()


@transaction.atomic
def _begin(organization_id: UUID) -> ErasureReceipt | None:
    organization = organizations.due_for_erasure().select_for_update().filter(pk=organization_id).first()
    if organization is None:
        return ErasureReceipt.objects.filter(organization_id=organization_id, erased_at__isnull=True).first()
    with tenancy.scope(organization_id):
        zone = organization.time_zone
        told = {"name": organization.name, "time_zone": zone, "to": organizations.owner_addresses()}
    begun: dict[str, Any] = {
        "name_hash": name_hash(organization_id, organization.name),
        "requested_at": organization.deletion_requested_at,
        "sealed_recipients": sealing.seal(json.dumps(told).encode(), _place(organization_id)),
    }
    receipt, _ = ErasureReceipt.objects.get_or_create(organization_id=organization_id, defaults=begun)
    return receipt


def _place(organization_id: UUID) -> str:
    return f"erasure:{organization_id}"


def _erase_files(receipt: ErasureReceipt) -> None:
    if receipt.file_count is None:
        sizes = [file.size_bytes for file in storage.stored_files()]
        _note(receipt, file_count=len(sizes), file_bytes=sum(sizes))
    storage.delete_everything()


def _erase_trail(receipt: ErasureReceipt) -> None:
    # Counted before, because it is removed in a transaction of its own, after which nobody could tell.
    if count := AuditEntry.objects.count():
        table = AuditEntry._meta.db_table
        noted = receipt.row_counts.get(table, 0)
        # Less than was noted: that is gone already, and these came after a run that was cut off.
        total = count if count >= noted else noted + count
        _note(receipt, row_counts={**receipt.row_counts, table: total})
        audit.erase_trail()


def _note(receipt: ErasureReceipt, **columns: Any) -> None:
    ErasureReceipt.objects.filter(pk=receipt.pk).update(**columns)
    receipt.refresh_from_db()


def in_order_of_deletion() -> list[Any]:
    """The models of a tenant whose rows the runtime role removes, each before those that it refers to."""
    models = [model for model in tenant_models() if model is not AuditEntry]
    order: TopologicalSorter[Any] = TopologicalSorter({model: set() for model in models})
    for model in models:
        for field in model._meta.concrete_fields:
            if field.is_relation and field.related_model in models and field.related_model is not model:
                order.add(field.related_model, model)
    return list(order.static_order())


def _erase_rows(receipt: ErasureReceipt, model: Any) -> None:
    while _erase_batch(receipt, model._meta.db_table):
        pass


@transaction.atomic
def _erase_batch(receipt: ErasureReceipt, table: str) -> int:
    """Remove some rows and count them on the receipt, both or neither."""
    name = connection.ops.quote_name(table)
    # Locked, so that a run beside this one waits and takes the next ones, instead of finding none and going on.
    some = f"SELECT id FROM {name} WHERE organization_id = %s LIMIT %s FOR UPDATE"  # noqa: S608 - our own tables
    with connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM {name} WHERE organization_id = %s AND id = ANY(ARRAY({some}))",  # noqa: S608
            [receipt.organization_id, receipt.organization_id, BATCH_ROWS],
        )
        count = cursor.rowcount
    if count:
        row = ErasureReceipt.objects.select_for_update().get(pk=receipt.pk)
        row.row_counts[table] = row.row_counts.get(table, 0) + count
        row.save(update_fields=["row_counts"])
    return count


@transaction.atomic
def _erase_organization(organization_id: UUID) -> None:
    """Its own row, and what the console noted of it."""
    LogEntry.objects.filter(object_id=str(organization_id)).delete()
    Organization.objects.filter(pk=organization_id).delete()


def _erase_in_redis(organization_id: UUID) -> None:
    """Its ring of live updates and whatever else is kept under a name with its id, and its events on their way."""
    client = redis_client()
    for key in leftovers.keys_of(client, organization_id):
        client.delete(key)
    needle = leftovers.needle_of(organization_id)
    for stream, entry_id, fields in leftovers.entries_of(client, organization_id):
        events = entries.events(fields)
        others = [event for event in events if needle not in event]
        entries.replace(client, stream, entry_id, len(events), others if len(others) < len(events) else [])


@cache
def redis_client() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=10, socket_connect_timeout=2)


def _require_nothing_left(receipt: ErasureReceipt) -> None:
    left = leftovers.count(redis_client(), receipt.organization_id)
    if left:
        words = ", ".join(f"{place}: {number}" for place, number in left.items())
        _note(receipt, problem=f"Left: {words}"[:500])
        log.error("erasure_incomplete", organization=str(receipt.organization_id), left=left)
        raise ErasureIncomplete(words)


@transaction.atomic
def _finish(receipt: ErasureReceipt) -> ErasureReceipt:
    """Date the receipt and mail it to the last owners, whose addresses are forgotten with that."""
    row = ErasureReceipt.objects.select_for_update().get(pk=receipt.pk)
    if row.erased_at is None:
        recipients = _recipients(row)
        row.erased_at, row.sealed_recipients, row.problem = Now(), b"", ""
        row.save()
        row.refresh_from_db()
        for to in recipients["to"]:
            context = {"receipt": row, "name": recipients["name"]}
            mail.send("console/email/data_erased", to, context, time_zone=recipients.get("time_zone", "UTC"))
        log.info("organization_erased", organization=str(row.organization_id), rows=row.row_count)
    return row


def _recipients(receipt: ErasureReceipt) -> dict[str, Any]:
    """The name and the addresses that the erasure began with; none if SECRET_KEY was replaced since."""
    try:
        opened = sealing.unseal(bytes(receipt.sealed_recipients), _place(receipt.organization_id))
    except sealing.Unsealable:
        log.error("receipt_not_mailed", organization=str(receipt.organization_id))
        return {"name": "", "to": []}
    found: dict[str, Any] = json.loads(opened)
    return found
