"""What operators do to things that belong to no organization: each act leaves a line in the console's own history."""

from __future__ import annotations

from uuid import UUID

import structlog
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Model

from apps.core.actors import Actor
from apps.core.errors import DomainError

log = structlog.get_logger(__name__)


class OperatorNeeded(DomainError):
    code = "operator_needed"
    status = 403
    detail = "Only an operator of this installation can do that."


def operator_id(by: Actor) -> UUID:
    """Raises `OperatorNeeded`."""
    if by.kind != "operator" or by.user_id is None:
        raise OperatorNeeded
    return by.user_id


def note(by: Actor, subject: Model, message: str) -> None:
    """Add a line to the history of `subject`, in the transaction of what it tells. Raises `OperatorNeeded`."""
    who = operator_id(by)
    log.info("operator_acted", subject=f"{subject._meta.model_name} {subject.pk}", message=message, operator=str(who))
    LogEntry.objects.create(
        user_id=who,
        content_type=ContentType.objects.get_for_model(subject),
        object_id=subject.pk,
        object_repr=str(subject)[:200],
        action_flag=CHANGE,
        change_message=message,
    )
