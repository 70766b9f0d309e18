from __future__ import annotations

from typing import Self

from django.db.models import Count, OuterRef, Prefetch, Subquery, Sum, Value
from django.db.models.functions import Coalesce

from apps.core.tenancy import TenantQuerySet

AFTER_EVERY_CHARACTER = "\U0010ffff"


class DatasetQuerySet(TenantQuerySet):
    def with_latest_version(self) -> Self:
        """Each dataset with its newest version, whatever became of it, in `latest_versions`."""
        from apps.datasets.models import DatasetVersion

        newest = DatasetVersion.objects.order_by("dataset_id", "-number").distinct("dataset_id").select_related("job")
        return self.prefetch_related(Prefetch("versions", queryset=newest, to_attr="latest_versions"))

    def with_totals(self) -> Self:
        """Each dataset with `version_count` and `size_bytes`, what all its files take."""
        from apps.datasets.models import DatasetVersion

        versions = DatasetVersion.objects.filter(dataset=OuterRef("pk")).order_by().values("dataset")
        size = versions.annotate(size=Sum("source_size_bytes") + Sum("parquet_size_bytes")).values("size")
        return self.annotate(
            version_count=Coalesce(Subquery(versions.annotate(count=Count("id")).values("count")), Value(0)),
            size_bytes=Coalesce(Subquery(size), Value(0)),
        )

    def named_like(self, beginning: str) -> Self:
        """Whose name begins so, in any case. A range, because LIKE loses its index under row-level security."""
        key = beginning.lower()
        return self.filter(name_key__gte=key, name_key__lt=key + AFTER_EVERY_CHARACTER)


class DatasetVersionQuerySet(TenantQuerySet):
    def ready(self) -> Self:
        return self.filter(status="ready")
