from __future__ import annotations

from django.contrib import admin

from apps.core.admin import ConsoleAdmin
from apps.costs.models import PriceOverride


@admin.register(PriceOverride)
class PriceOverrideAdmin(ConsoleAdmin):
    list_display = [
        "model",
        "provider",
        "organization",
        "effective_from",
        "effective_until",
        "input_price",
        "output_price",
    ]
    list_filter = ["provider"]
    search_fields = ["model", "provider", "organization__slug"]
