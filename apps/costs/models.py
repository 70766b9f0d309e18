"""What models cost an organization, where that is not the list price."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from apps.core import tenancy

LARGEST = 10**12  # micro-USD per million tokens: a dollar a token


class PriceOverride(tenancy.TenantModel):
    """The price of one model from a day on (UTC), in micro-USD per million tokens; a class without one is unpriced.

    It counts until the day `effective_until` begins; on a day for which there are several, the one that began last.
    """

    provider = models.CharField(max_length=253)
    model = models.CharField(max_length=200)
    effective_from = models.DateField()
    effective_until = models.DateField(null=True, blank=True)
    input_price = models.BigIntegerField(null=True, blank=True)
    cached_price = models.BigIntegerField(null=True, blank=True)
    cache_write_price = models.BigIntegerField(null=True, blank=True)
    output_price = models.BigIntegerField(null=True, blank=True)

    class Meta(tenancy.TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "provider", "model", "effective_from"], name="costs_override_once_a_day"
            ),
            models.CheckConstraint(
                condition=Q(effective_until__isnull=True) | Q(effective_until__gt=F("effective_from")),
                name="costs_override_ends_after_it_begins",
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
