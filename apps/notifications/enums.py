from django.db import models


class Channel(models.TextChoices):
    INBOX = "inbox", "Inbox"
    MAIL = "mail", "Mail"
