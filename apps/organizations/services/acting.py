"""What operators do to look at an organization as one of its people."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from apps.core import live
from apps.core.actors import Actor
from apps.organizations import acting
from apps.organizations.models import ActingSession, Membership
from apps.organizations.services.trail import tell

LASTS = timedelta(minutes=30)


@transaction.atomic
def start_acting(membership: Membership, reason: str, *, by: Actor) -> ActingSession:
    """Look at the organization as its member for half an hour. Its trail says who, as whom, and why."""
    session = ActingSession.objects.create(
        operator_id=by.user_id,
        operator_label=by.label[:200],
        membership=membership,
        person_label=membership.user.email[:200],
        reason=reason,
        ends_at=timezone.now() + LASTS,
    )
    tell(acting.as_person(by, session), "acting.started", session, {"reason": reason})
    return session


@transaction.atomic
def end_acting(session: ActingSession, *, by: Actor) -> None:
    """End it before its time, its open pages too; once more changes nothing."""
    if ActingSession.objects.filter(pk=session.pk, ended_at__isnull=True).update(ended_at=Now()):
        tell(acting.as_person(by, session), "acting.ended", session, {})
        live.disconnect(session.operator_id)
