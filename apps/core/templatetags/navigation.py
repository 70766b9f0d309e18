"""Where one can go: the entries of the navigation, in the order of the work, written down once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import template
from django.template.context import Context
from django.urls import NoReverseMatch

from apps.core import http
from apps.core.http import Request

register = template.Library()


@dataclass(frozen=True, slots=True)
class Entry:
    """One place in the navigation. `keys` are pressed one after the other; `permission` empty: for every member.

    `areas` are how the names of pages begin that stand below it, beside its own app's; `aliases` are other words people
    use for it.
    """

    label: str
    icon: str
    url_name: str
    permission: str
    keys: str
    areas: tuple[str, ...] = ()
    aliases: str = ""

    def holds(self, page: str) -> bool:
        own = f"{self.url_name.partition(':')[0]}:"
        return page.startswith((own, *self.areas))


GROUPS = (
    (Entry("Home", "house", "console:home", "", "g h", aliases="overview start"),),
    (
        Entry("Data", "database", "datasets:dataset-list", "datasets.read", "g d", aliases="datasets tables"),
        Entry("Train", "dumbbell", "training:run-list", "training.read", "g t", aliases="training runs"),
        Entry("Models", "box", "registry:model-list", "models.read", "g m", aliases="registry versions"),
        Entry(
            "Deploy",
            "rocket",
            "deployments:deployment-list",
            "deployments.read",
            "g e",
            aliases="deployments endpoints",
        ),
        Entry("Gateway", "waypoints", "gateway:route-list", "gateway.read", "g w", aliases="routes llm providers"),
    ),
    (
        Entry("Logs", "scroll-text", "logs:call-list", "calls.read", "g l", aliases="calls requests"),
        Entry("Usage", "gauge", "usage:usage", "usage.read", "g u", aliases="meters cost"),
        Entry(
            "Limits",
            "traffic-cone",
            "ratelimits:limit-list",
            "limits.read",
            "g r",
            aliases="rate limits policies throttle",
        ),
        Entry("Jobs", "list-checks", "jobs:job-list", "jobs.read", "g j", aliases="background work"),
    ),
    (
        Entry(
            "Settings",
            "settings",
            "organizations:settings",
            "",
            "g s",
            areas=("audit:", "data_rights:", "notifications:webhook-", "notifications:delivery-"),
            aliases="organization time zone",
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Place:
    """An entry as one person sees it in one organization."""

    entry: Entry
    url: str
    is_current: bool


def places(request: Request) -> list[list[Place]]:
    """The groups of entries that exist and that the person may open."""
    groups = ([place for entry in group if (place := _place(request, entry))] for group in GROUPS)
    return [group for group in groups if group]


def _place(request: Request, entry: Entry) -> Place | None:
    if entry.permission and not (request.actor and request.actor.can(entry.permission)):
        return None
    try:
        url = http.link(request.organization, entry.url_name)
    except NoReverseMatch:
        return None
    match = request.resolver_match
    return Place(entry, url, is_current=match is not None and entry.holds(match.view_name))


def home_of(organization: Any) -> str:
    """The first page of an organization."""
    try:
        return http.link(organization, GROUPS[0][0].url_name)
    except NoReverseMatch:
        return f"/o/{organization.slug}/"


@register.inclusion_tag("core/navigation.html", takes_context=True)
def navigation(context: Context) -> dict[str, Any]:
    request = context["request"]
    return {"groups": places(request) if getattr(request, "organization", None) else []}


@register.inclusion_tag("core/keys.html", takes_context=True)
def key_list(context: Context) -> dict[str, Any]:
    """The dialog that `?` opens: every key and where it leads."""
    return navigation(context)


@register.filter
def home(organization: Any) -> str:
    return home_of(organization)
