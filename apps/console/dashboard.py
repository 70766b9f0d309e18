"""The first page of the operator's console: what runs, what waits, what failed, across all organizations."""

from __future__ import annotations

from typing import Any

from django.db.models import Count
from django.http import HttpRequest

from apps.deployments.models import Replica
from apps.jobs.models import Job
from apps.organizations.models import Organization
from apps.usage.models import UsageEvent


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Unfold's callback: adds what templates/admin/index.html shows."""
    jobs = dict(Job.unscoped.using("console").values_list("status").annotate(Count("id")))
    replicas = dict(Replica.unscoped.using("console").values_list("status").annotate(Count("id")))
    return {
        **context,
        "organization_count": Organization.objects.count(),
        "event_count": UsageEvent.unscoped.using("console").count(),
        "job_counts": sorted(jobs.items()),
        "replica_counts": sorted(replicas.items()),
    }
