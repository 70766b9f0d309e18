from django.db import models


class Status(models.TextChoices):
    PENDING = "pending"
    RUNNING = "running"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DEAD = "dead"


WAITING = (Status.PENDING, Status.RETRYING)
ACTIVE = (*WAITING, Status.RUNNING)
FINISHED = (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.DEAD)
RETRYABLE = (Status.FAILED, Status.CANCELLED, Status.DEAD)
END_EVENTS = {
    Status.SUCCEEDED: "job.succeeded",
    Status.FAILED: "job.failed",
    Status.DEAD: "job.dead",
    Status.CANCELLED: "job.cancelled",
}
DEFAULT_PRIORITY = 5
HIGHEST_PRIORITY = 9
# The queue of work that the organization's own processes do.
OUTSIDE = "outside"
# What names of the organization's own kinds, and tags, look like.
KIND = r"^[a-z0-9][a-z0-9._-]{0,59}$"
TAG = r"^[a-z0-9][a-z0-9._:/-]{0,49}$"
LOG_LEVELS = ("debug", "info", "warning", "error")
MAX_TAGS = 20
MAX_INPUT_BYTES = 64 * 1024
