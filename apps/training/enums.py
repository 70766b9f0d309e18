from django.db import models

from apps.datasets.enums import ColumnKind
from apps.jobs.enums import Status

JOB_KIND = "training.run"
MIN_FOLDS = 2
MAX_FOLDS = 10
RUN_EVENTS = {
    Status.SUCCEEDED: "training_run.succeeded",
    Status.FAILED: "training_run.failed",
    Status.DEAD: "training_run.failed",
}
UNPREDICTABLE_KINDS = (ColumnKind.ID, ColumnKind.TEXT, ColumnKind.DATE, ColumnKind.DATETIME)


class TrialStatus(models.TextChoices):
    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"


UNDER_WAY = (TrialStatus.PENDING, TrialStatus.RUNNING)


class Candidate(models.TextChoices):
    """What a run can try. `linear` is logistic regression for classes and ridge regression for numbers."""

    LINEAR = "linear", "Linear model"
    LIGHTGBM = "lightgbm", "LightGBM (gradient boosted trees)"
    EXTRA_TREES = "extra_trees", "Extra trees"
