"""The rows that the palette finds by their names, within bounds that do not grow with an organization.

Of each kind it reads the newest rows, and where the name has an index of its own also those that begin with what was
typed: as a range, because LIKE loses its index under row-level security.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from apps.console.palette.options import Option
from apps.core import http
from apps.core.actors import Actor
from apps.datasets.models import Dataset
from apps.deployments.models import Deployment
from apps.gateway.models import Route, Upstream
from apps.jobs.models import Job
from apps.organizations.models import Membership, Project
from apps.ratelimits.models import Policy
from apps.registry.models import Model
from apps.training.models import TrainingRun

NEWEST = 300
BEGINNING = 10
AFTER_EVERY_CHARACTER = "\U0010ffff"


def _lower_only(text: str) -> set[str]:
    return {text.lower()}


def _usual_cases(text: str) -> set[str]:
    """For a column that keeps upper and lower case apart; one range each, because OR reads the whole index."""
    return {text, text.lower(), text.capitalize()}


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of row: `columns` are what it is called by, the first one that is not empty shown.

    `indexed` is a column with an index; `spellings` are those of a typed text that it may hold. `has_page`: whether a
    row has a page of its own.
    """

    key: str
    heading: str
    icon: str
    permission: str
    url_name: str
    rows: Callable[[], QuerySet[Any]]
    columns: tuple[str, ...] = ("name",)
    indexed: str = ""
    has_page: bool = True
    spellings: Callable[[str], Iterable[str]] = _lower_only

    def found(self, query: str, organization: Any) -> list[Option]:
        """What may answer: the newest rows, and those whose name begins with `query`."""
        rows = {row[0]: row for row in [*self._beginning(query), *self._newest()]}
        return [self._option(row, organization) for row in rows.values()]

    def known(self, ids: Sequence[UUID], organization: Any) -> list[Option]:
        """Those of `ids` that still exist."""
        rows = self.rows().filter(pk__in=ids).values_list("pk", *self.columns) if ids else ()
        return [self._option(row, organization) for row in rows]

    def _newest(self) -> QuerySet[Any]:
        return self.rows().order_by("-id").values_list("pk", *self.columns)[:NEWEST]

    def _beginning(self, query: str) -> Iterator[Any]:
        for spelling in self.spellings(query) if self.indexed else ():
            rows = self.rows().filter(_begins(self.indexed, spelling)).order_by(self.indexed)
            yield from rows.values_list("pk", *self.columns)[:BEGINNING]

    def _option(self, row: Sequence[Any], organization: Any) -> Option:
        row_id, *texts = row
        label, *others = [text for text in texts if text]
        url = http.link(organization, self.url_name, *([row_id] if self.has_page else []))
        return Option(f"{self.key}:{row_id}", label, self.icon, url, " ".join(others), " ".join(others))


def _begins(column: str, text: str) -> Q:
    return Q((f"{column}__gte", text), (f"{column}__lt", text + AFTER_EVERY_CHARACTER))


KINDS = (
    Kind(
        "dataset",
        "Datasets",
        "database",
        "datasets.read",
        "datasets:dataset-detail",
        Dataset.objects.all,
        indexed="name_key",
    ),
    Kind("run", "Training runs", "dumbbell", "training.read", "training:run-detail", TrainingRun.objects.all),
    Kind(
        "model",
        "Models",
        "box",
        "models.read",
        "registry:model-detail",
        Model.objects.all,
        indexed="name",
        spellings=_usual_cases,
    ),
    Kind(
        "deployment",
        "Deployments",
        "rocket",
        "deployments.read",
        "deployments:deployment-detail",
        Deployment.objects.all,
        indexed="name",
    ),
    Kind("route", "Routes", "waypoints", "gateway.read", "gateway:route-detail", Route.objects.all),
    Kind("upstream", "Upstreams", "server", "gateway.read", "gateway:upstream-detail", Upstream.objects.all),
    Kind("job", "Jobs", "list-checks", "jobs.read", "jobs:job-detail", Job.objects.all, columns=("label",)),
    Kind("project", "Projects", "tag", "projects.read", "organizations:project-detail", Project.objects.all),
    Kind("policy", "Limits", "traffic-cone", "limits.read", "ratelimits:policy-detail", Policy.objects.all),
    Kind(
        "member",
        "Members",
        "user",
        "members.read",
        "organizations:member-list",
        Membership.objects.all,
        columns=("user__name", "user__email"),
        indexed="user__email",
        has_page=False,
    ),
)


def readable(actor: Actor) -> list[Kind]:
    return [kind for kind in KINDS if actor.can(kind.permission)]
