from __future__ import annotations

from typing import Self

from apps.core.tenancy import TenantQuerySet


class ModelVersionQuerySet(TenantQuerySet):
    def with_lineage(self) -> Self:
        """Each version with its model, the dataset version it learned from, and its metrics."""
        return self.select_related("model", "dataset_version__dataset").prefetch_related("metrics")
