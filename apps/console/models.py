"""What the installation's own probes saw. It belongs to nobody: the page that shows it is public."""

from __future__ import annotations

from django.db import models

from apps.console.data_rights.models import ClosedOrganization, DataExport, ErasureReceipt, StoppedDeployment
from apps.console.work.models import OrganizationLoad
from apps.core.formatting import format_time

__all__ = [
    "ClosedOrganization",
    "DataExport",
    "ErasureReceipt",
    "OrganizationLoad",
    "ProbeHour",
    "ProbeResult",
    "StoppedDeployment",
]


class ProbeResult(models.Model):
    """One look at one component at one tick; two probing processes count as one. Kept for two days."""

    component = models.CharField(max_length=20)
    at = models.DateTimeField(db_index=True)
    is_ok = models.BooleanField()
    latency_ms = models.FloatField(null=True)
    error_code = models.CharField(max_length=30, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["component", "at"], name="console_probe_once")]

    def __str__(self) -> str:
        return f"{self.component} {self.error_code or 'ok'}"


class ProbeHour(models.Model):
    """One hour of a component's probes, kept when they themselves are forgotten."""

    component = models.CharField(max_length=20)
    hour = models.DateTimeField(db_index=True)
    probe_count = models.PositiveIntegerField()
    ok_count = models.PositiveIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["component", "hour"], name="console_probe_hour_once")]

    def __str__(self) -> str:
        return f"{self.component} {format_time(self.hour, seconds=False)}"
