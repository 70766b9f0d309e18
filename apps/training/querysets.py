from __future__ import annotations

from typing import Self

from apps.core.tenancy import TenantQuerySet
from apps.training.enums import TrialStatus


class TrainingRunQuerySet(TenantQuerySet):
    def with_context(self) -> Self:
        """Each run with its job, its dataset, its project, and the model version it led to."""
        return self.select_related("job", "dataset_version__dataset", "model_version__model", "project")


class TrialQuerySet(TenantQuerySet):
    def unfinished(self) -> Self:
        """Trials that an attempt has still to run, those that an earlier one left half done included."""
        return self.exclude(status=TrialStatus.SUCCEEDED)
