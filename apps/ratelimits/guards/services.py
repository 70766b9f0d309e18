"""What operators do with guards; each change leaves a line in the console's history and counts at once."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import redis
import structlog
from django.db import transaction
from django.utils import timezone

from apps.core import operators, snapshots
from apps.core.actors import Actor
from apps.ratelimits import wording
from apps.ratelimits.errors import LimitOutOfBounds, WindowOutOfBounds
from apps.ratelimits.guards.known import KNOWN, section
from apps.ratelimits.matching import SECTION
from apps.ratelimits.models import LARGEST, LONGEST_WINDOW_S, Guard

COLUMNS = ("limit", "window_s", "is_shadow", "away")

log = structlog.get_logger(__name__)


def declare_guards(using: str = "default") -> None:
    """Write down the guards that the code knows, as it has them. What an operator set stays."""
    rows = Guard.objects.using(using)
    for guard in KNOWN.values():
        columns = {name: getattr(guard, name) for name in COLUMNS}
        if not rows.filter(pk=guard.id, changed_at=None).update(**columns):
            rows.get_or_create(pk=guard.id, defaults=columns)


@transaction.atomic
def change_guard(guard: Guard, *, limit: int, window_s: int, is_shadow: bool, away: str, by: Actor) -> Guard:
    """Raises `OperatorNeeded`, `LimitOutOfBounds`, `WindowOutOfBounds`."""
    operators.operator_id(by)
    if not 1 <= limit <= LARGEST:
        raise LimitOutOfBounds(field="limit", largest=LARGEST)
    if not 1 <= window_s <= LONGEST_WINDOW_S:
        raise WindowOutOfBounds(field="window_s")
    guard = Guard.objects.select_for_update().get(pk=guard.pk)
    before, wanted = in_words(guard), {"limit": limit, "window_s": window_s, "is_shadow": is_shadow, "away": away}
    for name, value in wanted.items():
        setattr(guard, name, value)
    guard.changed_at, guard.changed_by_label = timezone.now(), by.label[:200]
    guard.save()
    operators.note(by, guard, f"From {before} to {in_words(guard)}")
    transaction.on_commit(publish_or_leave_to_beat)
    return guard


@transaction.atomic
def reset_guards(ids: Collection[str]) -> None:
    """Put guards back as the code has them, whoever changed them. From the command line, which is nobody's session."""
    for guard_id in ids:
        columns = {name: getattr(KNOWN[guard_id], name) for name in COLUMNS}
        Guard.objects.filter(pk=guard_id).update(changed_at=None, changed_by_label="", **columns)
    log.warning("guards_reset", guards=sorted(ids))
    transaction.on_commit(publish_or_leave_to_beat)


@transaction.atomic
def shadow_guards(ids: Collection[str]) -> None:
    """Have guards count and refuse nothing, from the command line."""
    declare_guards()
    Guard.objects.filter(pk__in=ids).update(
        is_shadow=True, changed_at=timezone.now(), changed_by_label="the command line"
    )
    log.warning("guards_only_count", guards=sorted(ids))
    transaction.on_commit(publish_or_leave_to_beat)


def in_words(guard: Guard) -> str:
    shadow = ", in shadow" if guard.is_shadow else ""
    amount = wording.amount_of("requests", guard.limit, guard.window_s)
    return f"{amount}{shadow}; while Redis is away: {guard.get_away_display().lower()}"


def compile_guards() -> dict[str, Any]:
    changed = Guard.objects.exclude(changed_at=None).values("id", *COLUMNS)
    return {SECTION: section({row.pop("id"): row for row in changed})}


def publish_or_leave_to_beat() -> None:
    try:
        snapshots.publish_installation(compile_guards)
    except redis.RedisError as error:
        log.warning("guards_publish_failed", error=str(error))
