"""What the clock asks of every organization."""

from __future__ import annotations

from celery import Task

from apps.core import tenancy
from apps.organizations.models import Organization


def queue_for_each(task: Task) -> None:
    """One task for each organization, so that none waits for another's."""
    for organization_id in Organization.objects.values_list("pk", flat=True).iterator():
        with tenancy.scope(organization_id):
            task.delay()
