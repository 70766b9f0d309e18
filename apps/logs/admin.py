from django.contrib import admin

from apps.core.admin import ConsoleAdmin
from apps.logs.models import CallRecord


@admin.register(CallRecord)
class CallRecordAdmin(ConsoleAdmin):
    list_display = ["occurred_at", "organization", "status", "method", "path", "latency_ms", "error_code", "request_id"]
    list_filter = ["status", "route"]
    search_fields = ["organization__slug", "=request_id", "=model"]
