from django.db import models


class StatusClass(models.TextChoices):
    """The hundreds of an HTTP status."""

    SUCCESS = "2xx", "Succeeded"
    CLIENT_ERROR = "4xx", "Refused"
    SERVER_ERROR = "5xx", "Failed"

    @property
    def first(self) -> int:
        return int(self.value[0]) * 100
