"""The events that people and webhooks are told of, each written down once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from apps.core import http
from apps.notifications.enums import Channel
from apps.notifications.errors import UnknownEvent
from apps.organizations.models import Organization

TITLE_CHARS = 200
TEXT_CHARS = 500


@dataclass(frozen=True, slots=True)
class Event:
    """`permission` is what whoever is told must have; `page` is the address of what it is about.

    `title` and `text` are filled from the event's data. Mail that is not optional cannot be turned off. Several at once
    are told as one where there is a title for `many`, which leads to `list_page`. Whoever has the permission `also` is
    told, too, whomever else it concerns.
    """

    name: str
    words: str
    title: str
    permission: str
    page: str
    text: str = ""
    has_row: bool = True
    inbox: bool = True
    mail: bool = False
    mail_is_optional: bool = True
    also: str = ""
    many: str = ""
    list_page: str = ""
    list_query: str = ""

    @property
    def area(self) -> str:
        return self.name.partition(".")[0].replace("_", " ").capitalize()

    def default(self, channel: str) -> bool:
        return self.inbox if channel == Channel.INBOX else self.mail

    def is_optional(self, channel: str) -> bool:
        return channel == Channel.INBOX or self.mail_is_optional

    def title_of(self, data: Mapping[str, Any]) -> str:
        return _cut(self.title.format_map(data), TITLE_CHARS)

    def text_of(self, data: Mapping[str, Any]) -> str:
        return _cut(self.text.format_map(data), TEXT_CHARS)

    def address(self, organization: Organization, subject_id: UUID | None) -> str:
        """The page of what it is about; without a subject that of all it happened to."""
        if subject_id is None and self.list_page:
            return f"{http.link(organization, self.list_page)}?{self.list_query}"
        return http.link(organization, self.page, *([subject_id] if self.has_row else []))


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _end_of_job(status: str, words: str, ended: str, all_ended: str = "", **more: Any) -> Event:
    return Event(
        f"job.{status}",
        words,
        f"{{name}} {ended}",
        "jobs.read",
        "jobs:job-detail",
        many=f"{{number}} jobs {all_ended or ended}",
        list_page="jobs:job-list",
        list_query=f"status={status}",
        **more,
    )


EVENTS = {
    event.name: event
    for event in (
        _end_of_job("succeeded", "A job of mine finished", "finished"),
        _end_of_job("failed", "A job of mine failed", "failed", text="{error_message}", mail=True),
        _end_of_job(
            "dead", "A job died after its last attempt", "died", text="{reason}", mail=True, also="members.write"
        ),
        _end_of_job("cancelled", "A job of mine was cancelled", "was cancelled", "were cancelled", inbox=False),
        Event(
            "dataset_version.created",
            "Somebody added a dataset version",
            "{name} version {number} was added",
            "datasets.read",
            "datasets:dataset-detail",
            text="Added by {by}.",
            inbox=False,
        ),
        Event(
            "dataset_version.ready",
            "A dataset version of mine can be used",
            "{name} version {number} is ready",
            "datasets.read",
            "datasets:dataset-detail",
        ),
        Event(
            "dataset_version.failed",
            "A dataset version of mine could not be read",
            "{name} version {number} could not be read",
            "datasets.read",
            "datasets:dataset-detail",
            text="{error_message}",
            mail=True,
        ),
        Event(
            "dataset.deleted",
            "Somebody deleted a dataset",
            "{name} was deleted",
            "datasets.read",
            "datasets:dataset-list",
            text="Deleted by {by}, with {version_count} versions.",
            has_row=False,
            inbox=False,
        ),
        Event(
            "training_run.succeeded",
            "A training run of mine finished",
            "Training {name} finished",
            "training.read",
            "training:run-detail",
            mail=True,
        ),
        Event(
            "training_run.failed",
            "A training run of mine failed",
            "Training {name} failed",
            "training.read",
            "training:run-detail",
            text="{error_message}",
            mail=True,
        ),
        Event(
            "deployment.ready",
            "A deployment became ready",
            "{name} is ready",
            "deployments.write",
            "deployments:deployment-detail",
        ),
        Event(
            "deployment.degraded",
            "A deployment is degraded",
            "{name} is degraded",
            "deployments.write",
            "deployments:deployment-detail",
            text="{reason}",
        ),
        Event(
            "deployment.failed",
            "A deployment failed",
            "{name} failed",
            "deployments.write",
            "deployments:deployment-detail",
            text="{reason}",
            mail=True,
        ),
        Event(
            "quota.reached",
            "Much of an included amount is used",
            "{percent} % of the included {meter} is used",
            "usage.read",
            "usage:usage",
            text="{used} of {included}. {consequence}",
            has_row=False,
            mail=True,
        ),
        Event(
            "export.ready",
            "An export of all data is ready",
            "The export of all data is ready",
            "organization.export",
            "data_rights:data",
            text="It can be downloaded for seven days.",
            has_row=False,
            mail=True,
        ),
        Event(
            "export.failed",
            "An export of all data failed",
            "The export of all data failed",
            "organization.export",
            "data_rights:data",
            text="{error_message}",
            has_row=False,
            mail=True,
        ),
        Event(
            "member.joined",
            "Somebody joined the organization",
            "{email} joined as {role}",
            "members.write",
            "organizations:member-list",
            has_row=False,
        ),
        Event(
            # Its mail is the organization's own, which goes to whoever has no inbox yet, too.
            "member.role_changed",
            "My role changed",
            "You are {role} now",
            "members.read",
            "organizations:member-list",
            text="Changed by {by}; before, you were {previous_role}.",
            has_row=False,
            mail_is_optional=False,
        ),
        Event(
            "token.created",
            "An API token was made for me",
            "API token {name} was made",
            "tokens.read",
            "organizations:token-detail",
            text="Made by {by}. If that was not you, revoke it and change your password.",
            mail=True,
            mail_is_optional=False,
        ),
        Event(
            "token.expiring",
            "An API token of mine ends in 7 days",
            "API token {name} ends on {day}",
            "tokens.read",
            "organizations:token-detail",
            text="Whatever uses it is refused from then on. Rotate it, or give it a later end.",
            mail=True,
        ),
        Event(
            "webhook.disabled",
            "A webhook was disabled",
            "The webhook to {url} was disabled",
            "webhooks.write",
            "notifications:webhook-detail",
            text="{reason}",
            mail=True,
        ),
        Event(
            "webhook.failed",
            "A webhook's message was given up",
            "The webhook to {url} was not reached",
            "webhooks.write",
            "notifications:webhook-detail",
            text="{reason}",
            mail=True,
        ),
    )
}


def get(name: str) -> Event:
    """Raises `UnknownEvent`."""
    try:
        return EVENTS[name]
    except KeyError:
        raise UnknownEvent(field="event", event=name, known=", ".join(EVENTS)) from None
