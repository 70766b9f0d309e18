from django.db import models


class Meter(models.TextChoices):
    """What is counted. The ledger takes any meter; these have a name and a unit on pages."""

    PREDICTIONS = "predictions", "Predictions"
    TRAINING_MS = "training_ms", "Training time"
    JOB_MS = "job_ms", "Job time"
    STORED_BYTES = "stored_bytes", "Stored data"


UNITS = {Meter.PREDICTIONS: "rows", Meter.TRAINING_MS: "ms", Meter.JOB_MS: "ms", Meter.STORED_BYTES: "bytes"}
