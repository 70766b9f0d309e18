"""The one ledger: quotas, costs, dashboards and invoices read these rows and keep no count of their own."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.db.models.fields.json import KT
from django.db.models.functions import Now

from apps.core import tenancy
from apps.usage.querysets import UsageEventQuerySet


class UsageEvent(tenancy.TenantModel):
    """One use of one meter. The producer chose `id`, so an event that arrives twice counts once."""

    created_at = models.DateTimeField(db_default=Now(), editable=False)
    meter = models.TextField()
    quantity = models.BigIntegerField()
    cost_micro_usd = models.BigIntegerField(null=True)
    occurred_at = models.DateTimeField()
    dimensions = models.JSONField(default=dict)
    # Copies of two dimensions: under row-level security a condition on JSON cannot use an index.
    model = models.GeneratedField(expression=KT("dimensions__model"), output_field=models.TextField(), db_persist=True)
    token = models.GeneratedField(expression=KT("dimensions__token"), output_field=models.TextField(), db_persist=True)

    objects: ClassVar[Any] = tenancy.TenantManager.from_queryset(UsageEventQuerySet)()

    class Meta(tenancy.TenantModel.Meta):
        indexes = [
            models.Index(
                fields=["organization", "occurred_at"],
                include=["meter", "quantity", "cost_micro_usd", "model", "token"],
                name="usage_by_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} {self.meter}"


class UsageSum(tenancy.TenantModel):
    """The ledger's rows of half an hour, added up, so that a page costs the same however many rows there are.

    A trigger of the ledger adds to it in the transaction that adds the rows; nothing else writes it.
    """

    meter = models.TextField()
    model = models.TextField()
    token = models.TextField()
    at = models.DateTimeField(help_text="Beginning of the half hour.")
    quantity = models.BigIntegerField()
    cost_micro_usd = models.BigIntegerField(null=True)
    event_count = models.BigIntegerField()

    class Meta(tenancy.TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["organization", "at", "meter", "model", "token"], name="usage_sum_once"),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} {self.meter}"
