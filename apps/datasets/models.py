"""Tables that people bring: a dataset, its immutable versions, and what each version's columns hold."""

from __future__ import annotations

import re
from typing import Any, ClassVar
from urllib.parse import urlsplit, urlunsplit

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Lower

from apps.core import tenancy
from apps.datasets.enums import ColumnKind, VersionStatus
from apps.datasets.querysets import DatasetQuerySet, DatasetVersionQuerySet
from apps.jobs.models import Job
from apps.organizations.models import Project


class Dataset(tenancy.TenantModel):
    """A name under which versions of one table are kept."""

    name = models.CharField(max_length=80)
    name_key = models.GeneratedField(
        expression=Lower("name"), output_field=models.CharField(max_length=80), db_persist=True
    )
    description = models.TextField(max_length=2000, blank=True)
    project = models.ForeignKey(Project, null=True, blank=True, on_delete=models.SET_NULL, related_name="datasets")
    created_by_label = models.CharField(max_length=200, blank=True)

    objects: ClassVar[Any] = tenancy.TenantManager.from_queryset(DatasetQuerySet)()

    class Meta(tenancy.TenantModel.Meta):
        constraints = [models.UniqueConstraint(fields=["organization", "name_key"], name="datasets_name_once")]
        indexes = [models.Index(fields=["organization", "-id"], name="datasets_newest")]

    def __str__(self) -> str:
        return self.name

    @property
    def latest_version(self) -> DatasetVersion | None:
        """The newest version of a row that was read `with_latest_version()`."""
        return next(iter(self.latest_versions), None)  # type: ignore[attr-defined]


class DatasetVersion(tenancy.TenantModel):
    """One file as it was uploaded, and the typed table made of it. Known by its content; never changed once ready.

    `content_hash` is the SHA-256 of the source; None until a file that is fetched from a URL has arrived.
    """

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    status = models.CharField(
        max_length=10, choices=[(one.value, one.value) for one in VersionStatus], default=VersionStatus.PENDING.value
    )
    error_code = models.CharField(max_length=60, blank=True)
    error_message = models.TextField(blank=True)
    content_hash = models.CharField(max_length=64, null=True)
    source_name = models.CharField(max_length=200)
    source_url = models.CharField(max_length=2000, blank=True)
    source_path = models.CharField(max_length=300, blank=True)
    source_size_bytes = models.PositiveBigIntegerField(default=0)
    parquet_path = models.CharField(max_length=300, blank=True)
    parquet_size_bytes = models.PositiveBigIntegerField(default=0)
    row_count = models.PositiveBigIntegerField(null=True)
    column_count = models.PositiveIntegerField(null=True)
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL, related_name="+")
    created_by_label = models.CharField(max_length=200, blank=True)
    ready_at = models.DateTimeField(null=True)

    objects: ClassVar[Any] = tenancy.TenantManager.from_queryset(DatasetVersionQuerySet)()

    class Meta(tenancy.TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["organization", "dataset", "number"], name="datasets_version_number"),
            models.UniqueConstraint(fields=["organization", "dataset", "content_hash"], name="datasets_content_once"),
        ]

    def __str__(self) -> str:
        return f"{self.dataset} v{self.number}"

    @property
    def is_pending(self) -> bool:
        return self.status == VersionStatus.PENDING

    @property
    def is_ready(self) -> bool:
        return self.status == VersionStatus.READY

    @property
    def is_failed(self) -> bool:
        return self.status == VersionStatus.FAILED

    @property
    def size_bytes(self) -> int:
        return self.source_size_bytes + self.parquet_size_bytes

    @property
    def source_address(self) -> str:
        """Where the file came from, without what may be a secret in it, such as the signature of a presigned URL."""
        return urlunsplit(urlsplit(self.source_url)._replace(query="", fragment=""))

    @property
    def download_name(self) -> str:
        """What the source is called when it is downloaded: printable, and never a path."""
        safe = re.sub(r"[^\w. -]+", "-", self.source_name).strip(" .-")
        return safe or f"v{self.number}.csv"


class Column(tenancy.TenantModel):
    """One column of a version, and what its values are like.

    `minimum` and `maximum` are JSON because they have the type of the column's own values. `profile` holds what is only
    drawn: `quantiles`, `histogram` {edges, counts}, `top` [{value, count}], `length` {minimum, mean, maximum}.
    """

    version = models.ForeignKey(DatasetVersion, on_delete=models.CASCADE, related_name="columns")
    position = models.PositiveIntegerField()
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=10, choices=[(one.value, one.value) for one in ColumnKind])
    missing_count = models.PositiveBigIntegerField()
    distinct_count = models.PositiveBigIntegerField()
    is_distinct_estimated = models.BooleanField(default=False)
    minimum = models.JSONField(null=True)
    maximum = models.JSONField(null=True)
    mean = models.FloatField(null=True)
    std = models.FloatField(null=True)
    warnings = ArrayField(models.CharField(max_length=20), default=list)
    profile: models.JSONField[Any, Any] = models.JSONField(default=dict)

    class Meta(tenancy.TenantModel.Meta):
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "version", "position"], name="datasets_column_position"),
            models.UniqueConstraint(fields=["organization", "version", "name"], name="datasets_column_name"),
        ]

    def __str__(self) -> str:
        return self.name
