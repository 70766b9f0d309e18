"""The pages and actions that the palette knows. A new page of its own gets a line here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.urls import reverse

from apps.console.palette.options import Option
from apps.core import http
from apps.core.actors import Actor
from apps.core.templatetags.navigation import GROUPS, home_of


@dataclass(frozen=True, slots=True)
class Place:
    """A page to go to; `permission` empty: for every member. `note` says where it belongs.

    `aliases` are other words people use for it; `part` is a dialog of the page to open.
    """

    label: str
    icon: str
    url_name: str
    permission: str = ""
    note: str = ""
    aliases: str = ""
    part: str = ""
    is_inside: bool = True

    def option(self, organization: Any) -> Option:
        url = http.link(organization, self.url_name) if self.is_inside else reverse(self.url_name)
        key = f"page:{self.url_name}{self.part}"
        return Option(key, self.label, self.icon, url + self.part, self.note, self.aliases)


NAVIGATION = tuple(
    Place(entry.label, entry.icon, entry.url_name, entry.permission, aliases=entry.aliases)
    for group in GROUPS
    for entry in group
)
PAGES = (
    *NAVIGATION,
    Place("Notifications", "bell", "notifications:notification-list", "notifications.read", aliases="inbox"),
    Place("Upstreams", "server", "gateway:upstream-list", "gateway.read", "Gateway", "providers openai anthropic"),
    Place("Health of upstreams", "activity", "gateway:health-list", "gateway.read", "Gateway", "breakers status"),
    Place("Virtual keys", "key-round", "gateway:key-list", "gateway.read", "Gateway", "budgets llm"),
    Place("Model calls", "scroll-text", "gateway:call-list", "model_calls.read", "Gateway", "tokens cost llm"),
    Place("Prices", "circle-dollar-sign", "gateway:price-list", "prices.read", "Gateway", "costs list override"),
    Place("Playground", "message-square", "gateway:playground", "gateway.call", "Gateway", "chat try prompt"),
    Place("Dead jobs", "heart-pulse", "jobs:dead-list", "jobs.read", "Jobs", "failed retry discard"),
    Place("Queues", "layers", "jobs:queue-list", "jobs.read", "Jobs", "workers depth throughput"),
    Place("Plan limits", "traffic-cone", "ratelimits:plan-detail", "limits.read", "Limits", "rate limits quota"),
    Place("Allow and deny lists", "list-filter", "ratelimits:entry-list", "limits.read", "Limits", "block ban"),
    Place("Members", "users", "organizations:member-list", "members.read", "Settings", "people roles invitations"),
    Place("Projects", "tag", "organizations:project-list", "projects.read", "Settings", "labels"),
    Place("API tokens", "key-round", "organizations:token-list", "tokens.read", "Settings", "keys secrets"),
    Place("Webhooks", "webhook", "notifications:webhook-list", "webhooks.read", "Settings", "endpoints deliveries"),
    Place("Your data", "archive", "data_rights:data", "organization.export", "Settings", "export delete organization"),
    Place("Trail", "history", "audit:entry-list", "audit.read", "Settings", "audit log activity"),
    Place(
        "Notification preferences",
        "bell-ring",
        "notifications:preferences",
        "notifications.read",
        "Notifications",
        "mail settings",
    ),
    Place(
        "Your profile", "circle-user-round", "accounts:profile", "", "Your account", "name settings", is_inside=False
    ),
    Place("Email address", "mail", "account_email", "", "Your account", "settings", is_inside=False),
    Place("Password", "lock-keyhole", "account_change_password", "", "Your account", "settings", is_inside=False),
    Place("Two-factor", "shield-check", "mfa_index", "", "Your account", "passkeys second factor", is_inside=False),
    Place("Sessions", "monitor-smartphone", "accounts:session-list", "", "Your account", "devices", is_inside=False),
)
ACTIONS = (
    Place("Upload a dataset", "upload", "datasets:dataset-create", "datasets.write", aliases="new create csv data"),
    Place("Train a model", "play", "training:run-create", "training.write", aliases="new create start run"),
    Place("Deploy a model", "rocket", "deployments:deployment-create", "deployments.write", aliases="new create"),
    Place("Create a route", "waypoints", "gateway:route-create", "gateway.write", aliases="new add model gateway llm"),
    Place("Submit a job", "list-checks", "jobs:job-create", "jobs.write", aliases="new create run script"),
    Place("Create a token", "key-round", "organizations:token-create", "tokens.write", aliases="new api key"),
    Place(
        "Invite somebody",
        "user-plus",
        "organizations:member-list",
        "members.write",
        aliases="new add member people",
        part="#invite",
    ),
    Place("Add a webhook", "webhook", "notifications:webhook-create", "webhooks.write", aliases="new create"),
    Place("Create a limit", "traffic-cone", "ratelimits:policy-create", "limits.write", aliases="new add policy"),
    Place("Allow or deny somebody", "list-filter", "ratelimits:entry-create", "limits.write", aliases="new add block"),
    Place("Create a project", "tag", "organizations:project-create", "projects.write", aliases="new label"),
    Place("Create an organization", "building-2", "start:welcome", aliases="new team", is_inside=False),
)
HELP = (
    Place("API reference", "book-open", "api-docs", note="Help", aliases="help docs openapi swagger", is_inside=False),
    Place("API reference, to read", "book-text", "api-redoc", note="Help", aliases="help docs redoc", is_inside=False),
    Place("System status", "activity", "status:status", note="Help", aliases="help uptime health", is_inside=False),
)
BUTTONS = (
    Option(
        "", "Use the light theme", "sun", aliases="mode", attributes={"type": "button", "data-theme-choice": "light"}
    ),
    Option(
        "", "Use the dark theme", "moon", aliases="mode", attributes={"type": "button", "data-theme-choice": "dark"}
    ),
    Option(
        "",
        "Use the system's theme",
        "monitor",
        aliases="mode",
        attributes={"type": "button", "data-theme-choice": "system"},
    ),
    Option(
        "", "Keyboard shortcuts", "keyboard", aliases="help keys", attributes={"type": "button", "data-dialog": "keys"}
    ),
    Option("", "Log out", "log-out", aliases="sign out", attributes={"type": "submit", "form": "palette-log-out"}),
)


def opened(places: Sequence[Place], organization: Any, actor: Actor) -> list[Option]:
    """The places that the actor may open."""
    return [place.option(organization) for place in places if not place.permission or actor.can(place.permission)]


def switches(organizations: Sequence[Any], current: Any) -> list[Option]:
    """A way into each other organization of the person."""
    return [
        Option(f"organization:{one.pk}", f"Switch to {one.name}", "arrow-left-right", home_of(one), aliases="change")
        for one in organizations
        if one.pk != current.pk
    ]
