from django.contrib import admin

from apps.core.admin import ConsoleAdmin
from apps.usage.models import UsageEvent


@admin.register(UsageEvent)
class UsageEventAdmin(ConsoleAdmin):
    list_display = ["occurred_at", "organization", "meter", "quantity", "cost_micro_usd", "model", "created_at"]
    list_filter = ["meter"]
    search_fields = ["organization__slug", "=model"]
