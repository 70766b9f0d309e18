"""Projects as labels: which rows carry one, and how many.

The apps whose rows carry labels stand above this one, so they are known here by their relation and their page's name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Count, Model, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from apps.organizations.models import Project

Rows = TypeVar("Rows", bound=QuerySet[Any])


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of row that carries a label: the relation, its list, and what reading it needs."""

    label: str
    relation: str
    list_url_name: str
    permission: str


KINDS = (
    Kind("Datasets", "datasets", "datasets:dataset-list", "datasets.read"),
    Kind("Training runs", "training_runs", "training:run-list", "training.read"),
    Kind("Models", "models", "registry:model-list", "models.read"),
    Kind("Deployments", "deployments", "deployments:deployment-list", "deployments.read"),
)


@dataclass(frozen=True, slots=True)
class Use:
    """How many rows of one kind carry a label."""

    kind: Kind
    count: int


def uses_of(project: Project) -> list[Use]:
    return [Use(kind, getattr(project, kind.relation).count()) for kind in KINDS]


def in_project(rows: Rows, text: str) -> Rows:
    """The rows that carry the project whose id is `text`; all of them when nothing is asked."""
    if not text:
        return rows
    try:
        return rows.filter(project=UUID(text))
    except ValueError:
        return rows.none()


def project_counts(model: type[Model]) -> list[tuple[str, str, int]]:
    """Each label that rows of `model` carry: its id, its name and how many do, for a list's filter."""
    carried = model._default_manager.filter(project__isnull=False).order_by("project__name")
    counted = carried.values_list("project", "project__name").annotate(Count("id"))
    return [(str(project_id), name, count) for project_id, name, count in counted]


def projects_with_counts() -> QuerySet[Project]:
    """Each project with how many rows of each kind carry it, such as `datasets_count`."""
    return Project.objects.annotate(**{f"{kind.relation}_count": _count(kind) for kind in KINDS})


def _count(kind: Kind) -> Coalesce:
    carrier: Any = Project._meta.get_field(kind.relation).related_model
    carried = carrier.objects.filter(project=OuterRef("pk"))
    counted = carried.order_by().values("project").annotate(count=Count("id")).values("count")
    return Coalesce(Subquery(counted), 0)
