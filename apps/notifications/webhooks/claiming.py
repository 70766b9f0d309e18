"""Finding what is due before its organization is known, through the one function that looks across organizations."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db import connection

from apps.notifications.webhooks import clock


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery that is this dispatcher's until its lease ends."""

    delivery_id: UUID
    organization_id: UUID
    attempt: int


def claim(limit: int, lease_s: float) -> list[Claim]:
    """Take up to `limit` deliveries that are due. Two dispatchers never get the same attempt."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT * FROM notifications_claim(%s, %s, make_interval(secs => %s))",
            [limit, lease_s, clock.ahead.total_seconds()],
        )
        return [Claim(*row) for row in cursor.fetchall()]
