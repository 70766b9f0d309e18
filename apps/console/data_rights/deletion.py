"""Closing an organization for its deletion, and opening it again, with all that runs in it."""

from __future__ import annotations

from django.db import transaction

from apps.console.data_rights.models import StoppedDeployment
from apps.core.actors import Actor
from apps.deployments import services as deployments
from apps.deployments.errors import TooManyReplicas
from apps.deployments.models import Deployment
from apps.organizations import services as organizations
from apps.organizations.models import Organization


@transaction.atomic
def close_organization(organization: Organization, confirmation: str, *, by: Actor) -> Organization:
    """Close it now, and have it erased after 30 days unless it is reopened. Its deployments stop.

    Jobs and webhook deliveries that wait go on waiting. Raises `ConfirmationMismatch`.
    """
    closed = organizations.request_deletion(organization, confirmation, by=by)
    for deployment in Deployment.objects.filter(is_stopped=False).order_by("id"):
        deployments.stop_deployment(deployment, by=by)
        StoppedDeployment.objects.create(deployment=deployment)
    return closed


@transaction.atomic
def reopen_organization(organization: Organization, *, by: Actor) -> list[str]:
    """Open it again and start what was stopped; the names of deployments that could not. Raises `HoldOver`."""
    organizations.cancel_deletion(organization, by=by)
    stopped = StoppedDeployment.objects.select_related("deployment").order_by("id")
    failed = [row.deployment.name for row in stopped if not _starts(row.deployment, by)]
    stopped.delete()
    return failed


def _starts(deployment: Deployment, by: Actor) -> bool:
    try:
        deployments.start_deployment(deployment, by=by)
    except TooManyReplicas:
        return False
    return True
