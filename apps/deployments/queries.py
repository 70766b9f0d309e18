"""Reads for the screens of deployments."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.db.models import Count, QuerySet

from apps.deployments.enums import DeploymentStatus
from apps.deployments.models import Deployment
from apps.deployments.snippets import Snippets, infer_request, snippets
from apps.registry import queries as registry
from apps.registry.models import ModelVersion


def infer_url(deployment: Deployment) -> str:
    """Where predictions are asked for."""
    return f"{settings.EDGE_URL}/v2/models/{quote(deployment.name, safe='')}/infer"


def example_request(deployment: Deployment) -> dict[str, Any]:
    """An infer request that the version served now accepts, made of what is common in its training data."""
    version = deployment.serving_version
    return infer_request(version.signature, registry.example_row(version))


def deployment_snippets(deployment: Deployment) -> Snippets:
    return snippets(infer_url(deployment), example_request(deployment))


def deployable_versions() -> QuerySet[ModelVersion]:
    return ModelVersion.objects.select_related("model").order_by("model__name", "-number")


def status_counts() -> list[tuple[str, str, int]]:
    """How many deployments there are in each status, for the filter."""
    counted = dict(Deployment.objects.order_by().values_list("status").annotate(Count("id")))
    return [(one.value, one.value.title(), counted[one.value]) for one in DeploymentStatus if one.value in counted]
