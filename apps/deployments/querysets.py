from __future__ import annotations

from typing import Self

from apps.core.tenancy import TenantQuerySet


class DeploymentQuerySet(TenantQuerySet):
    def with_replicas(self) -> Self:
        """Each deployment with its versions, its project and its replicas, in as many queries for one as for many."""
        versions = self.select_related("model_version__model", "serving_version__model", "project")
        return versions.prefetch_related("replicas__model_version")
