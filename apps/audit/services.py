from __future__ import annotations

from typing import Any

from django.db import models

from apps.audit.models import AuditEntry
from apps.core.actors import Actor


def record(actor: Actor, action: str, subject: models.Model, changes: dict[str, Any] | None = None) -> AuditEntry:
    """Add to the trail, in the transaction of what it tells. `changes` holds plain values, never secrets."""
    return AuditEntry.objects.create(
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_label=actor.label[:200],
        action=action,
        subject_type=subject._meta.model_name,
        subject_id=subject.pk,
        subject_label=str(subject)[:200],
        changes=changes or {},
        request_id=actor.request_id,
        address=actor.address,
    )
