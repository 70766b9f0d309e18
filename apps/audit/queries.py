"""Reads of the trail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db.models import QuerySet
from django.utils import timezone

from apps.audit import moments
from apps.audit.filters import TrailFilter
from apps.audit.models import AuditEntry
from apps.core import http, time_ranges
from apps.core.errors import NotFound
from apps.core.formatting import format_count
from apps.organizations.models import Organization

# What can be chosen is counted in the newest entries only, so that a page costs the same however long the trail is.
COUNTED = 1000
MOST_NEWS = 99
MOST_JOBS = 20
# A month, so that shortening it is no way to remove what somebody just did.
SHORTEST_DAYS = 30

Options = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Page:
    """Where a kind of subject has its page: one of its own, or a list."""

    model: str
    url_name: str
    is_own: bool = True


# The apps of most subjects stand above this one, so they are known here by name.
PAGES = {
    "apitoken": Page("organizations.ApiToken", "organizations:token-detail"),
    "dataexport": Page("console.DataExport", "data_rights:data", is_own=False),
    "dataset": Page("datasets.Dataset", "datasets:dataset-detail"),
    "deployment": Page("deployments.Deployment", "deployments:deployment-detail"),
    "entry": Page("ratelimits.Entry", "ratelimits:entry-list", is_own=False),
    "invitation": Page("organizations.Invitation", "organizations:member-list", is_own=False),
    "job": Page("jobs.Job", "jobs:job-detail"),
    "membership": Page("organizations.Membership", "organizations:member-list", is_own=False),
    "model": Page("registry.Model", "registry:model-detail"),
    "modelversion": Page("registry.ModelVersion", "registry:version-detail"),
    "organization": Page("organizations.Organization", "organizations:settings", is_own=False),
    "override": Page("usage.Override", "usage:usage", is_own=False),
    "planlimitoverride": Page("ratelimits.PlanLimitOverride", "ratelimits:plan-detail", is_own=False),
    "policy": Page("ratelimits.Policy", "ratelimits:policy-detail"),
    "priceoverride": Page("costs.PriceOverride", "gateway:price-list", is_own=False),
    "project": Page("organizations.Project", "organizations:project-detail"),
    "route": Page("gateway.Route", "gateway:route-detail"),
    "trainingrun": Page("training.TrainingRun", "training:run-detail"),
    "upstream": Page("gateway.Upstream", "gateway:upstream-detail"),
    "virtualkey": Page("gateway.VirtualKey", "gateway:key-detail"),
    "webhookendpoint": Page("notifications.WebhookEndpoint", "notifications:webhook-detail"),
}


@dataclass(frozen=True, slots=True)
class Choices:
    """What the newest entries can be narrowed to, with how many of them it is."""

    actors: Options
    actions: list[tuple[str, Options]]
    subject_types: Options
    counted: int

    @property
    def is_partial(self) -> bool:
        return self.counted == COUNTED


@dataclass(frozen=True, slots=True)
class Retention:
    """For how many days a trail is kept, and between which numbers that may be chosen."""

    days: int
    shortest: int
    longest: int

    @property
    def words(self) -> str:
        """As people say it: years where they are whole."""
        years, rest = divmod(self.days, 365)
        return f"{years} year{'s' if years > 1 else ''}" if years and not rest else f"{format_count(self.days)} days"


def retention_of(organization: Organization) -> Retention:
    """How long the organization's trail is kept; its plan says what `longest` is."""
    return Retention(organization.audit_retention_days, SHORTEST_DAYS, organization.longest_trail_days)


def count_older(days: int, now: datetime) -> int:
    """How many entries are older than that."""
    return AuditEntry.objects.filter(created_at__lt=now - timedelta(days=days)).count()


def filtered(given: Mapping[str, str], now: datetime) -> QuerySet[AuditEntry]:
    """The entries that `given` asks for, with its `range` too. What cannot be understood finds nothing."""
    entries = in_range(given, now)
    found = TrailFilter(given, queryset=entries)
    return found.qs if found.is_valid() else entries.none()


def in_range(given: Mapping[str, str], now: datetime) -> QuerySet[AuditEntry]:
    time_range = time_ranges.RANGES.get(given.get("range", ""))
    entries: QuerySet[AuditEntry] = AuditEntry.objects.all()
    return moments.since(entries, time_range.start(timezone.localtime(now))) if time_range else entries


def newest_id(rows: Sequence[AuditEntry], now: datetime) -> UUID:
    """What a page that shows `rows` has seen: its newest entry, without any whatever there is by `now`."""
    return rows[0].pk if rows else moments.first_id(now)


def count_since(given: Mapping[str, str], seen: str, now: datetime) -> int:
    """How many of the entries that `given` asks for came after the id `seen`: up to one more than `MOST_NEWS`."""
    try:
        newer = filtered(given, now).filter(id__gt=UUID(seen))
    except ValueError:
        raise NotFound from None
    return newer.order_by("-id")[: MOST_NEWS + 1].count()


def choices(entries: QuerySet[AuditEntry]) -> Choices:
    """What the newest of `entries` can be narrowed to, in one query."""
    newest = list(entries.order_by("-id").values_list("actor_id", "actor_label", "action", "subject_type")[:COUNTED])
    labels = {str(actor_id): label for actor_id, label, _, _ in reversed(newest) if actor_id}
    actors = Counter(str(actor_id) for actor_id, _, _, _ in newest if actor_id)
    return Choices(
        actors=_options(actors, labels),
        actions=_by_area(Counter(action for _, _, action, _ in newest)),
        subject_types=_options(Counter(kind for _, _, _, kind in newest), {}),
        counted=len(newest),
    )


def _by_area(counts: Counter[str]) -> list[tuple[str, Options]]:
    areas: dict[str, Counter[str]] = {}
    for action, count in counts.items():
        areas.setdefault(_area(action), Counter())[action] = count
    return [(area, _options(areas[area], {})) for area in sorted(areas)]


def _area(action: str) -> str:
    return action.partition(".")[0].replace("_", " ").capitalize()


def _options(counts: Counter[str], labels: Mapping[str, str]) -> Options:
    most: Iterable[tuple[str, int]] = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [(value, f"{labels.get(value, value)} ({format_count(count)})") for value, count in most]


def subject_url(entry: AuditEntry, organization: Any) -> str:
    """The page of what an entry is about; empty for what has none, or is gone."""
    page = PAGES.get(entry.subject_type)
    if page is None or not apps.get_model(page.model)._default_manager.filter(pk=entry.subject_id).exists():
        return ""
    return http.link(organization, page.url_name, *([entry.subject_id] if page.is_own else []))


def jobs_of_request(entry: AuditEntry) -> list[Any]:
    """The jobs that the entry's request started, each with the log of what followed."""
    if not entry.request_id:
        return []
    jobs = moments.around(apps.get_model("jobs.Job")._default_manager.all(), entry.created_at)
    return list(jobs.filter(request_id=entry.request_id).order_by("-id")[:MOST_JOBS])
