"""What models cost an organization, where that is not the list price."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from apps.core import tenancy

LARGEST = 10**12  # micro-USD per million tokens: a dollar a token


class PriceOverride(tenancy.TenantModel):
    """The price of one model from a day on, in micro-USD per million tokens; a class without a price is unpriced."""

    provider = models.CharField(max_length=40)
    model = models.CharField(max_length=120)
    effective_from = models.DateField()
    input_price = models.BigIntegerField(null=True, blank=True)
    cached_price = models.BigIntegerField(null=True, blank=True)
    cache_write_price = models.BigIntegerField(null=True, blank=True)
    output_price = models.BigIntegerField(null=True, blank=True)

    class Meta(tenancy.TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "provider", "model", "effective_from"], name="costs_override_once_a_day"
            ),
            *(
                models.CheckConstraint(
                    condition=Q(**{f"{name}__isnull": True}) | Q(**{f"{name}__gte": 0, f"{name}__lte": LARGEST}),
                    name=f"costs_{name}_is_in_range",
                )
                for name in ("input_price", "cached_price", "cache_write_price", "output_price")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.model}"
