"""What happened: one record for each call through the data plane."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar

from django.db import models
from django.db.models.functions import Now

from apps.core import tenancy
from apps.logs.querysets import CallRecordQuerySet


class Answered:
    """How a call through the data plane ended, in words."""

    status: Any
    latency_us: Any

    @property
    def latency_ms(self) -> float:
        return self.latency_us / 1000

    @property
    def outcome(self) -> str:
        """The call's status as a word that has a look."""
        if self.status < 400:
            return "succeeded"
        return "refused" if self.status < 500 else "failed"

    @property
    def status_text(self) -> str:
        """The status with its phrase: "404 Not Found"."""
        try:
            return f"{self.status} {HTTPStatus(self.status).phrase}"
        except ValueError:
            return str(self.status)


class CallRecord(Answered, tenancy.TenantModel):
    """One authenticated call. Tokens, deployments and replicas are named by id, because they end before their calls."""

    created_at = models.DateTimeField(db_default=Now(), editable=False)
    request_id = models.TextField()
    occurred_at = models.DateTimeField()
    method = models.TextField()
    path = models.TextField()
    route = models.TextField()
    status = models.IntegerField()
    latency_us = models.BigIntegerField()
    request_bytes = models.BigIntegerField()
    response_bytes = models.BigIntegerField()
    token_id = models.UUIDField(null=True)
    deployment_id = models.UUIDField(null=True)
    replica_id = models.UUIDField(null=True)
    model = models.TextField()
    error_code = models.TextField()
    client = models.TextField()

    objects: ClassVar[Any] = tenancy.TenantManager.from_queryset(CallRecordQuerySet)()

    class Meta(tenancy.TenantModel.Meta):
        indexes = [
            models.Index(
                fields=["organization", "occurred_at"],
                include=["status", "latency_us", "model", "route"],
                name="logs_calls_by_time",
            ),
            models.Index(
                fields=["organization", "deployment_id", "occurred_at"],
                include=["status", "latency_us"],
                name="logs_calls_by_deployment",
            ),
            models.Index(fields=["organization", "request_id"], name="logs_calls_by_request"),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"
