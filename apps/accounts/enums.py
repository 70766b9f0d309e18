from django.db import models


class MailStatus(models.TextChoices):
    WAITING = "waiting"
    SENT = "sent"
    KEPT = "kept"
    FAILED = "failed"
