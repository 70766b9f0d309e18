"""Warnings of API tokens that are about to end."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from apps.audit import services as audit
from apps.audit.models import AuditEntry
from apps.core.actors import SYSTEM
from apps.core.formatting import format_day
from apps.notifications.services.notify import notify
from apps.organizations import queries as organizations
from apps.organizations.models import ApiToken, Membership
from apps.organizations.permissions import TABLE

AHEAD = timedelta(days=7)
TOLD = "token.expiry_told"


@transaction.atomic
def tell_of_expiring_tokens() -> None:
    """Warn once, 7 days ahead, of each end of a token of the current tenant, unless that is suspended or closed."""
    if not organizations.locked_organization().is_active:
        return
    tokens = ApiToken.objects.usable().filter(expires_at__lte=Now() + AHEAD).select_related("membership__user")
    told = _told_of(tokens)
    for token in tokens:
        if (token.pk, _end_of(token)) not in told:
            _tell(token)


def _told_of(tokens: Iterable[ApiToken]) -> set[tuple[UUID, str]]:
    """Which ends the trail says were told; a token that was given a later one has another."""
    entries = AuditEntry.objects.filter(action=TOLD, subject_id__in=[token.pk for token in tokens])
    return set(entries.values_list("subject_id", "changes__expires_at"))


def _tell(token: ApiToken) -> None:
    data = {"name": token.name, "expires_at": _end_of(token), "day": _day_of(token)}
    notify("token.expiring", token, data, to=_people_of(token))
    audit.record(SYSTEM, TOLD, token, {"name": token.name, "expires_at": _end_of(token)})


def _people_of(token: ApiToken) -> list[UUID]:
    """The person it acts for; of the organization's own tokens, everybody in charge of those."""
    if person := organizations.person_of(token):
        return [person.pk]
    in_charge = Membership.objects.filter(role__in=TABLE["organization_tokens.write"])
    return list(in_charge.values_list("user_id", flat=True))


def _day_of(token: ApiToken) -> str:
    return format_day(token.expires_at) if token.expires_at else ""


def _end_of(token: ApiToken) -> str:
    return token.expires_at.isoformat() if token.expires_at else ""
