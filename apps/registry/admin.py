from django.contrib import admin

from apps.core.admin import ConsoleAdmin
from apps.registry.models import Model, ModelVersion


@admin.register(Model)
class ModelAdmin(ConsoleAdmin):
    list_display = ["name", "organization", "task", "created_at"]
    list_filter = ["task"]
    search_fields = ["name", "organization__slug"]


@admin.register(ModelVersion)
class ModelVersionAdmin(ConsoleAdmin):
    list_display = ["model", "number", "organization", "algorithm", "size_bytes", "compared_row_count", "created_at"]
    list_filter = ["algorithm"]
    search_fields = ["model__name", "organization__slug", "artifact_sha256"]
