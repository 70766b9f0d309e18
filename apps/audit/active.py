"""The filters that are on: in words, as an address that means the same to everybody, and which of them is to blame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from django.http import QueryDict
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from apps.audit import queries
from apps.audit.models import AuditEntry
from apps.core import formatting, time_ranges

LABELS = {
    "range": "Time",
    "after": "From",
    "before": "Until",
    "actor_id": "Who",
    "operator_id": "Operator",
    "action": "Action",
    "subject_type": "Kind",
    "subject_id": "Subject",
    "q": "Name",
    "address": "Address",
    "request_id": "Request",
}
MOMENTS = ("after", "before")


@dataclass(frozen=True, slots=True)
class Active:
    """One filter that is on."""

    name: str
    label: str
    value: str


def named(given: Mapping[str, str]) -> dict[str, str]:
    """The filters of `given` that are on."""
    return {name: given[name] for name in LABELS if given.get(name)}


def settled(given: QueryDict) -> QueryDict:
    """`given` as an address to share: without what is empty, and with moments that no time zone changes."""
    kept = given.copy()
    for name in [name for name, value in given.items() if not value]:
        del kept[name]
    for name in MOMENTS:
        if moment := moment_of(given.get(name, "")):
            kept[name] = moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
            if given[name] != kept[name]:
                # A time that somebody has just typed takes the place of the range that was chosen before.
                kept.pop("range", None)
    return kept


def moment_of(text: str) -> datetime | None:
    """The moment in RFC 3339, in the person's own zone without an offset; None for anything else."""
    try:
        moment = parse_datetime(text)
        return moment and (timezone.make_aware(moment) if timezone.is_naive(moment) else moment.astimezone(UTC))
    except (ValueError, OverflowError):
        return None


def active(given: Mapping[str, str], rows: Iterable[AuditEntry], actors: Iterable[tuple[str, str]]) -> list[Active]:
    """The filters of `given` in words; ids are told by the names that `rows` and `actors` have for them."""
    names = {value: label.rpartition(" (")[0] for value, label in actors}
    for row in rows:
        names |= {str(row.actor_id): row.actor_label, str(row.subject_id): row.subject_label}
        names |= {str(row.operator_id): row.operator_label}
    return [Active(name, LABELS[name], _told(name, value, names)) for name, value in named(given).items()]


def _told(name: str, value: str, names: Mapping[str, str]) -> str:
    if name == "range":
        return time_ranges.RANGES[value].label if value in time_ranges.RANGES else value
    moment = moment_of(value) if name in MOMENTS else None
    return formatting.format_moment(timezone.localtime(moment)) if moment else names.get(value, value)


def to_blame(given: QueryDict, filters: Iterable[Active], now: datetime) -> list[tuple[Active, str]]:
    """The filters without which, each alone, something would be found, with the address of that."""
    without = [(one, _without(given, one.name)) for one in filters]
    return [(one, f"?{rest.urlencode()}") for one, rest in without if queries.filtered(rest, now).exists()]


def _without(given: QueryDict, name: str) -> QueryDict:
    rest = given.copy()
    for one in (name, "cursor"):
        rest.pop(one, None)
    return rest
