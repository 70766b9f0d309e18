"""What people and operators do with limits. Each change counts in both planes as soon as it is published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypedDict, Unpack

from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.audit import services as audit
from apps.core import live, operators, snapshots
from apps.core.actors import Actor
from apps.core.changes import apply_changes
from apps.core.formatting import format_count
from apps.core.tenancy import current_tenant_id
from apps.organizations import queries as organizations
from apps.organizations.plans import LIMITS
from apps.ratelimits import errors, values
from apps.ratelimits.enums import UNTOLD, Algorithm, Mode, Plane, Quantity, Subject
from apps.ratelimits.models import LARGEST, LONGEST_WINDOW_S, Entry, PlanLimitOverride, Policy

MOST_POLICIES = 50
MOST_ENTRIES = 500
MOST_PLACES = 10_000  # each takes memory while it is held
TOPIC = "limits"


class PolicyColumns(TypedDict, total=False):
    name: str
    subject: Sequence[str]
    header: str
    quantity: str
    algorithm: str
    limit: int
    window_s: int
    burst: int | None
    is_shadow: bool
    away: str
    planes: Sequence[str]
    routes: Sequence[str]
    models: Sequence[str]


COLUMNS = tuple(PolicyColumns.__annotations__)


class EntryColumns(TypedDict, total=False):
    kind: str
    reason: str
    ends_at: datetime | None


@transaction.atomic
def create_policy(*, by: Actor, **columns: Unpack[PolicyColumns]) -> Policy:
    """A new limit of the organization, which counts from now on.

    Raises `TooManyPolicies`, `PolicyNameTaken`, and what `checked` raises.
    """
    organizations.locked_organization()
    if Policy.objects.count() >= MOST_POLICIES:
        raise errors.TooManyPolicies(limit=MOST_POLICIES)
    policy = checked(Policy(**columns))
    _save(policy)
    audit.record(by, "policy.created", policy, _told(policy))
    _publish()
    return policy


@transaction.atomic
def update_policy(policy: Policy, *, by: Actor, **wanted: Unpack[PolicyColumns]) -> Policy:
    """Change a limit. What was counted stays counted, unless it is counted in another way from now on.

    Raises `PolicyNameTaken`, and what `checked` raises.
    """
    policy = _locked(policy)
    changed = checked(_changed(policy, wanted))
    if changes := apply_changes(policy, {name: getattr(changed, name) for name in COLUMNS}):
        _save(policy, update_fields=list(changes))
        audit.record(by, "policy.updated", policy, _in_modes(changes))
        _publish()
    return policy


@transaction.atomic
def delete_policy(policy: Policy, *, by: Actor) -> None:
    """Nothing is limited by it any more."""
    audit.record(by, "policy.deleted", policy, _told(policy))
    policy.delete()
    _publish()


@transaction.atomic
def pause_policy(policy: Policy, because: str, *, by: Actor) -> Policy:
    """Have an organization's policy limit nothing until an operator resumes it.

    Raises `OperatorNeeded`, `ReasonNeeded`.
    """
    operators.operator_id(by)
    if not because.strip():
        raise errors.ReasonNeeded(field="because")
    return _set_paused(policy, timezone.now(), because.strip(), "policy.paused", by)


@transaction.atomic
def resume_policy(policy: Policy, *, by: Actor) -> Policy:
    """Have a paused policy limit again. Raises `OperatorNeeded`."""
    operators.operator_id(by)
    return _set_paused(policy, None, "", "policy.resumed", by)


def _set_paused(policy: Policy, at: datetime | None, because: str, action: str, by: Actor) -> Policy:
    policy = _locked(policy)
    if policy.is_paused == (at is not None):
        return policy
    policy.paused_at, policy.paused_because = at, because
    policy.save(update_fields=["paused_at", "paused_because"])
    audit.record(by, action, policy, {"because": because} if because else {})
    _publish()
    return policy


@transaction.atomic
def create_entry(
    kind: str,
    subject: str,
    value: str,
    *,
    by: Actor,
    header: str = "",
    reason: str = "",
    ends_at: datetime | None = None,
) -> Entry:
    """Put a value on a list. Raises `TooManyEntries`, `EntryExists`, `EntryEnded`, and what `values` refuses."""
    organizations.locked_organization()
    if Entry.objects.lasting().count() >= MOST_ENTRIES:
        raise errors.TooManyEntries(limit=MOST_ENTRIES)
    header = values.header_name(header) if subject == Subject.HEADER else _no_header(header)
    value = values.entry_value(subject, value)
    Entry.objects.ended().filter(subject=subject, header=header, value=value).delete()
    entry = Entry(kind=kind, subject=subject, header=header, value=value, reason=reason, ends_at=_to_come(ends_at))
    try:
        with transaction.atomic():
            entry.save()
    except IntegrityError:
        raise errors.EntryExists(field="value", value=value) from None
    audit.record(by, "limit_entry.created", entry, {"kind": kind, "reason": reason})
    _publish()
    return entry


@transaction.atomic
def update_entry(entry: Entry, *, by: Actor, **wanted: Unpack[EntryColumns]) -> Entry:
    """Move a value to the other list, or change why and until when it is on one.

    Raises `EntryEnded`, and `TooManyEntries` when one that ended would come back to full lists.
    """
    organizations.locked_organization()
    entry = Entry.objects.select_for_update(no_key=True).get(pk=entry.pk)
    if changes := apply_changes(entry, wanted):
        _to_come(entry.ends_at)
        if Entry.objects.lasting().exclude(pk=entry.pk).count() >= MOST_ENTRIES:
            raise errors.TooManyEntries(limit=MOST_ENTRIES)
        entry.save(update_fields=list(changes))
        audit.record(by, "limit_entry.updated", entry, changes)
        _publish()
    return entry


@transaction.atomic
def delete_entry(entry: Entry, *, by: Actor) -> None:
    audit.record(by, "limit_entry.deleted", entry, {"kind": entry.kind})
    entry.delete()
    _publish()


@transaction.atomic
def override_plan_limit(plan_limit: str, limit: int, last_day: date, reason: str, *, by: Actor) -> PlanLimitOverride:
    """Give the organization in scope another limit than its plan's, to the end of `last_day` in UTC.

    It takes the place of an earlier override of the same limit.
    Raises `OperatorNeeded`, `UnknownPlanLimit`, `LimitOutOfBounds`, `OverrideEnded`, `ReasonNeeded`.
    """
    operators.operator_id(by)
    ends_at = datetime.combine(last_day + timedelta(days=1), time.min, UTC)
    _require_override(plan_limit, limit, ends_at, reason)
    organizations.locked_organization()
    columns = {"limit": limit, "ends_at": ends_at, "reason": reason.strip()}
    override, _ = PlanLimitOverride.objects.update_or_create(plan_limit=plan_limit, defaults=columns)
    told = {"limit": limit, "ends_at": ends_at.isoformat(), "reason": override.reason}
    audit.record(by, "plan_limit.overridden", override, told)
    _publish()
    return override


@transaction.atomic
def end_override(override: PlanLimitOverride, *, by: Actor) -> None:
    """The plan's limit counts again. Raises `OperatorNeeded`."""
    operators.operator_id(by)
    audit.record(by, "plan_limit.override_ended", override, {"limit": override.limit, "reason": override.reason})
    override.delete()
    _publish()


def checked(policy: Policy) -> Policy:
    """The policy with what was given in canonical form.

    Raises `LimitOutOfBounds`, `PlacesOutOfBounds`, `WindowOutOfBounds`, `BurstUnfit`, `SubjectNeeded`, `HeaderNeeded`,
    `HeaderUnfit`, `HeaderSecret`, `PlaneNeeded`, `PolicyNeverMet`, `RouteInvalid`, `TooManyNames`, `NameTooLong`.
    """
    policy.name = " ".join(policy.name.split())
    policy.subject = _narrowest(_chosen(policy.subject, Subject.values))
    policy.planes = _chosen(policy.planes, Plane.values)
    if not policy.subject:
        raise errors.SubjectNeeded(field="subject", subjects=", ".join(Subject.values))
    if not policy.planes:
        raise errors.PlaneNeeded(field="planes", planes=", ".join(Plane.values))
    of_header = Subject.HEADER in policy.subject
    policy.header = values.header_name(policy.header) if of_header else _no_header(policy.header)
    policy.routes, policy.models = values.routes(policy.routes), values.models(policy.models)
    _require_numbers(policy)
    _require_met(policy)
    return policy


def _require_numbers(policy: Policy) -> None:
    _require_limit(policy.limit)
    if policy.is_concurrency and policy.limit > MOST_PLACES:
        raise errors.PlacesOutOfBounds(field="limit", largest=format_count(MOST_PLACES))
    if not 1 <= policy.window_s <= LONGEST_WINDOW_S:
        raise errors.WindowOutOfBounds(field="window_s")
    if policy.burst is None:
        return
    if policy.is_concurrency or policy.algorithm != Algorithm.GCRA:
        raise errors.BurstUnfit(field="burst")
    _require_limit(policy.burst, "burst")


def _require_met(policy: Policy) -> None:
    """Some call tells what the policy counts and for whom; one that limits nothing would look as if it did."""
    needed = {policy.quantity, *policy.subject, *([Subject.MODEL] if policy.models else [])}
    untold = [UNTOLD[Plane(plane)] & needed for plane in policy.planes]
    if all(untold):
        raise errors.PolicyNeverMet(field="planes", untold=" and ".join(sorted(untold[0])))


def _require_limit(number: int, field: str = "limit") -> None:
    if not 1 <= number <= LARGEST:
        raise errors.LimitOutOfBounds(field=field, largest=format_count(LARGEST))


def _require_override(plan_limit: str, limit: int, ends_at: datetime, reason: str) -> None:
    if plan_limit not in LIMITS:
        raise errors.UnknownPlanLimit(field="plan_limit", known=", ".join(LIMITS))
    _require_limit(limit)
    if LIMITS[plan_limit].quantity == Quantity.CONCURRENCY and limit > MOST_PLACES:
        raise errors.PlacesOutOfBounds(field="limit", largest=format_count(MOST_PLACES))
    if ends_at <= timezone.now():
        raise errors.OverrideEnded(field="last_day")
    if not reason.strip():
        raise errors.ReasonNeeded(field="reason")


def _chosen(given: Sequence[str], known: Sequence[str]) -> list[str]:
    """What was given in the order of what there is, each once; nothing if something else is among it."""
    return [name for name in known if name in given] if set(given) <= set(known) else []


def _narrowest(subject: list[str]) -> list[str]:
    """The same without the organization, which every other subject is a part of."""
    return [name for name in subject if name != Subject.ORGANIZATION] or subject


def _no_header(header: str) -> str:
    if header.strip():
        raise errors.HeaderUnfit(field="header")
    return ""


def _to_come(ends_at: datetime | None) -> datetime | None:
    if ends_at is not None and ends_at <= timezone.now():
        raise errors.EntryEnded(field="ends_at")
    return ends_at


def _save(policy: Policy, **how: Any) -> None:
    try:
        with transaction.atomic():
            policy.save(**how)
    except IntegrityError:
        raise errors.PolicyNameTaken(field="name", name=policy.name) from None


def _changed(policy: Policy, wanted: Mapping[str, Any]) -> Policy:
    """The policy as it would be."""
    changed = copy(policy)
    for name, value in wanted.items():
        setattr(changed, name, value)
    return changed


def _told(policy: Policy) -> dict[str, Any]:
    names = ("subject", "quantity", "limit", "window_s", "mode")
    return {name: getattr(policy, name) for name in names}


def _in_modes(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The same, with the mode in the words that pages have for it."""
    told = dict(changes)
    if "is_shadow" in told:
        told["mode"] = [Mode.of(is_shadow=value == str(True)) for value in told.pop("is_shadow")]
    return told


def _locked(policy: Policy) -> Policy:
    row: Policy = Policy.objects.select_for_update(no_key=True).get(pk=policy.pk)
    return row


def _publish() -> None:
    snapshots.publish_on_commit(current_tenant_id())
    live.publish(TOPIC)
