from django.db import models

MIN_FOLDS = 2
MAX_FOLDS = 10


class TrialStatus(models.TextChoices):
    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
