from django.contrib import admin

from apps.audit.models import AuditEntry
from apps.core.admin import ConsoleAdmin


@admin.register(AuditEntry)
class AuditEntryAdmin(ConsoleAdmin):
    list_display = ["created_at", "organization", "actor_label", "action", "subject_label", "address"]
    list_filter = ["actor_kind"]
    search_fields = ["actor_label", "action", "request_id"]
