"""The operator's console reads across organizations, as its own database role, and changes rows by services only."""

from __future__ import annotations

from typing import Any

from django.db.models import Model, QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin


class ConsoleAdmin(ModelAdmin):
    """A read-only view over every tenant's rows; a subclass adds actions that call services."""

    list_per_page = 50
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = self.model.unscoped.using("console") if hasattr(self.model, "unscoped") else self.model.objects.all()
        return rows.order_by(*self.get_ordering(request) or ["-pk"])

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return [field.name for field in self.model._meta.fields]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
