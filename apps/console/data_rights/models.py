from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from apps.core import tenancy
from apps.core.ids import uuid7
from apps.deployments.models import Deployment
from apps.jobs.enums import ACTIVE
from apps.jobs.models import Job
from apps.organizations.models import Organization

READY, EXPIRED = "ready", "expired"


class DataExportQuerySet(tenancy.TenantQuerySet):
    def being_made(self) -> DataExportQuerySet:
        return self.filter(ready_at__isnull=True, job__status__in=ACTIVE)

    def kept(self) -> DataExportQuerySet:
        """Those that can be downloaded, by the database's clock."""
        return self.filter(expires_at__gt=Now())

    def to_remove(self) -> DataExportQuerySet:
        """Those whose file has outlived its time."""
        return self.filter(expires_at__lte=Now()).exclude(path="")


class DataExport(tenancy.TenantModel):
    """All of the organization's data in one zip, made by a job and kept for a week."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="+")
    path = models.CharField(max_length=200, blank=True)
    size_bytes = models.BigIntegerField(null=True)
    sha256 = models.CharField(max_length=64, blank=True)
    row_count = models.BigIntegerField(null=True)
    file_count = models.PositiveIntegerField(null=True)
    ready_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)

    objects: ClassVar[Any] = tenancy.TenantManager.from_queryset(DataExportQuerySet)()

    class Meta(tenancy.TenantModel.Meta):
        indexes = [models.Index(fields=["organization", "-id"], name="console_export_newest")]

    def __str__(self) -> str:
        return f"export {self.pk}"

    @property
    def status(self) -> str:
        """`ready`, `expired`, or how far its job is."""
        if self.expires_at is None:
            return self.job.status
        return READY if self.expires_at > timezone.now() else EXPIRED

    @property
    def is_ready(self) -> bool:
        return self.status == READY


class StoppedDeployment(tenancy.TenantModel):
    """A deployment that was stopped because its organization was closed, and starts again when that is taken back."""

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="+")

    def __str__(self) -> str:
        return str(self.deployment)


class ErasureReceipt(models.Model):
    """That an organization's data was erased, and how much that was. It tells nothing of any person.

    Until `erased_at` it is the erasure's own note of how far it is; `sealed_recipients` is emptied with the last mail.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organization_id = models.UUIDField(unique=True)
    name_hash = models.CharField(max_length=64)
    requested_at = models.DateTimeField()
    begun_at = models.DateTimeField(db_default=Now())
    erased_at = models.DateTimeField(null=True)
    row_counts = models.JSONField(default=dict)
    file_count = models.PositiveIntegerField(null=True)
    file_bytes = models.BigIntegerField(null=True)
    sealed_recipients = models.BinaryField(default=b"")
    problem = models.CharField(max_length=500, blank=True)

    def __str__(self) -> str:
        return str(self.organization_id)

    @property
    def row_count(self) -> int:
        return sum(self.row_counts.values())


class ClosedManager(models.Manager["ClosedOrganization"]):
    def get_queryset(self) -> models.QuerySet[ClosedOrganization]:
        return super().get_queryset().filter(deletion_requested_at__isnull=False)


class ClosedOrganization(Organization):
    """The organizations whose owners asked for their deletion, for the operator's console."""

    objects: ClassVar[Any] = ClosedManager()

    class Meta:
        proxy = True
