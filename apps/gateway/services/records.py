"""How long calls and their bodies are kept."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db.models.functions import Now

from apps.core.postgres.batches import delete_in_batches
from apps.gateway.models import ModelCall, ModelCallBody


def forget_old() -> int:
    """Delete the current tenant's bodies whose day has come, and calls older than `MODEL_CALL_DAYS`; how many."""
    kept_for = timedelta(days=settings.MODEL_CALL_DAYS)
    bodies = delete_in_batches(ModelCallBody.objects.filter(expires_at__lte=Now()))
    return bodies + delete_in_batches(ModelCall.objects.filter(occurred_at__lt=Now() - kept_for))
