"""What people can do with projects, the labels of an organization's work."""

from __future__ import annotations

from typing import TypedDict, Unpack

from django.db import IntegrityError, transaction

from apps.core.actors import Actor
from apps.core.changes import apply_changes
from apps.organizations import errors, labels
from apps.organizations.models import Project
from apps.organizations.services.trail import tell


class ProjectChanges(TypedDict, total=False):
    name: str
    description: str


@transaction.atomic
def create_project(name: str, *, by: Actor, description: str = "") -> Project:
    """A new label. Raises `ProjectNameTaken`."""
    project = Project(name=name, description=description)
    _save_named(project)
    tell(by, "project.created", project, {"name": name})
    return project


@transaction.atomic
def update_project(project: Project, *, by: Actor, **wanted: Unpack[ProjectChanges]) -> Project:
    """Rename or describe a label; what carries it keeps it. Raises `ProjectNameTaken`."""
    changes = apply_changes(project, wanted)
    if changes:
        _save_named(project)
        tell(by, "project.updated", project, changes)
    return project


@transaction.atomic
def delete_project(project: Project, *, by: Actor) -> None:
    """Take the label away. What carried it stays, without it."""
    carried = {use.kind.relation: use.count for use in labels.uses_of(project) if use.count}
    tell(by, "project.deleted", project, {"name": project.name, **carried})
    project.delete()


def _save_named(project: Project) -> None:
    try:
        with transaction.atomic():
            project.save()
    except IntegrityError:
        raise errors.ProjectNameTaken(field="name", name=project.name) from None
