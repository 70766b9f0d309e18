from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery, Sum
from django.http import HttpRequest

from apps.core.admin import ConsoleAdmin
from apps.core.formatting import format_bytes
from apps.datasets.models import Dataset, DatasetVersion


@admin.register(Dataset)
class DatasetAdmin(ConsoleAdmin):
    list_display = ["name", "organization", "version_count", "size", "created_by_label", "created_at"]
    search_fields = ["name", "organization__slug"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        versions = DatasetVersion.unscoped.filter(dataset=OuterRef("pk")).order_by().values("dataset")
        size = versions.annotate(size=Sum("source_size_bytes") + Sum("parquet_size_bytes")).values("size")
        count = versions.annotate(count=Count("id")).values("count")
        return super().get_queryset(request).annotate(version_count=Subquery(count), size_bytes=Subquery(size))

    @admin.display(description="Versions", ordering="version_count")
    def version_count(self, dataset: Any) -> int:
        return dataset.version_count or 0

    @admin.display(description="Size", ordering="size_bytes")
    def size(self, dataset: Any) -> str:
        return format_bytes(dataset.size_bytes or 0)


@admin.register(DatasetVersion)
class DatasetVersionAdmin(ConsoleAdmin):
    """Every version, failed ones by the filter; running the job once more is an action of the jobs' console."""

    list_display = [
        "dataset",
        "number",
        "organization",
        "status",
        "error_code",
        "row_count",
        "column_count",
        "size",
        "created_at",
    ]
    list_filter = ["status", "error_code"]
    search_fields = ["dataset__name", "organization__slug", "content_hash", "source_name"]
    exclude = ["source_url"]

    @admin.display(description="Size", ordering="source_size_bytes")
    def size(self, version: DatasetVersion) -> str:
        return format_bytes(version.size_bytes)
