from __future__ import annotations

from typing import Any

from django.db import connections, models, transaction
from django.utils import timezone

from apps.audit import errors, queries
from apps.audit.models import AuditEntry
from apps.core import live, tenancy
from apps.core.actors import Actor
from apps.core.changes import apply_changes
from apps.core.formatting import format_count
from apps.core.masking import masked
from apps.organizations import queries as organizations
from apps.organizations.errors import ActingReadOnly
from apps.organizations.models import Organization

EXPIRY_BATCH = 5_000
TOPIC = "trail"


def record(actor: Actor, action: str, subject: models.Model, changes: dict[str, Any] | None = None) -> AuditEntry:
    """Add to the trail, in the transaction of what it tells. What looks like a secret in `changes` is masked.

    A list of two in `changes` is a value before and after, unless the action ends with `.created`.
    """
    live.publish(TOPIC)
    return AuditEntry.objects.create(
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_label=actor.label[:200],
        operator_id=actor.operator_id,
        operator_label=actor.operator_label[:200],
        action=action,
        subject_type=subject._meta.model_name,
        subject_id=subject.pk,
        subject_label=str(subject)[:200],
        changes=masked(changes or {}),
        request_id=actor.request_id,
        address=actor.address,
    )


@transaction.atomic
def set_retention(organization: Organization, days: int, *, by: Actor, confirmed: bool = False) -> Organization:
    """Keep the trail for so many days. The next night removes what is older then.

    Raises `RetentionOutOfBounds`, and `RetentionRemoves` where entries would go and nobody `confirmed` it.
    """
    organization = organizations.locked_organization()
    bounds = queries.retention_of(organization)
    if not bounds.shortest <= days <= bounds.longest:
        raise errors.RetentionOutOfBounds(field="days", shortest=bounds.shortest, longest=bounds.longest)
    if not confirmed and days < bounds.days and (count := queries.count_older(days, timezone.now())):
        raise errors.RetentionRemoves(field="days", count=format_count(count), days=days)
    if changes := apply_changes(organization, {"audit_retention_days": days}):
        organization.save(update_fields=list(changes))
        record(by, "audit.retention_changed", organization, changes)
    return organization


def note_export(organization: Organization, kind: str, filters: dict[str, str], *, by: Actor) -> AuditEntry:
    """Tell that somebody takes a copy along. Raises `ActingReadOnly`: who looks as another takes nothing with them."""
    if by.operator_id:
        raise ActingReadOnly(person=by.label)
    return record(by, "audit.exported", organization, {"format": kind, **filters})


def expire_trail() -> int:
    """Remove the current tenant's entries that are older than `audit_retention_days`; how many those were."""
    removed = 0
    while count := _remove("audit_expire(%s)", [EXPIRY_BATCH], using="default"):
        removed += count
    return removed


def erase_trail() -> int:
    """Remove all of the current tenant's entries, for an organization that is erased; how many those were.

    Done by the console's role in a transaction of its own: the runtime role has no way to empty a trail.
    """
    return _remove("audit_erase()", [], using="console")


def _remove(function: str, parameters: list[int], *, using: str) -> int:
    tenancy.current_tenant_id()  # the functions remove nothing without a tenant; silence would hide the mistake
    with connections[using].cursor() as cursor:
        cursor.execute(f"SELECT {function}", parameters)
        return cursor.fetchone()[0]
