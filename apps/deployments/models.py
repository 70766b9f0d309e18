"""What is served: a deployment says what is wanted, its replicas are what there is."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, ClassVar

from django.core.validators import MaxValueValidator, RegexValidator
from django.db import models
from django.db.models import Q

from apps.core import tenancy
from apps.deployments.enums import DeploymentStatus, ReplicaStatus
from apps.deployments.lifecycle import Life
from apps.deployments.querysets import DeploymentQuerySet
from apps.deployments.reconciliation import Member, Wanted
from apps.organizations.models import Project
from apps.registry.models import ModelVersion

MAX_REPLICAS = 8
NAME = RegexValidator(
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z",
    "Use letters, digits, dots, hyphens and underscores, and begin with a letter or digit.",
)


class Deployment(tenancy.TenantModel):
    """An endpoint: the model `name` of the Open Inference Protocol, and which version it should answer with.

    `generation` grows with each change of what is wanted. While a version is rolled out, `serving_version` is the one
    before. `status` and `serving_version` are written by the scaler.
    """

    name = models.CharField(max_length=63, validators=[NAME])
    model_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="deployments")
    serving_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+")
    replica_count = models.PositiveSmallIntegerField(default=1, validators=[MaxValueValidator(MAX_REPLICAS)])
    is_stopped = models.BooleanField(default=False)
    project = models.ForeignKey(Project, null=True, blank=True, on_delete=models.SET_NULL, related_name="deployments")
    status = models.CharField(max_length=10, choices=[(one.value, one.value.title()) for one in DeploymentStatus])
    generation = models.PositiveIntegerField(default=1)
    created_by_label = models.CharField(max_length=200, blank=True)

    objects: ClassVar[Any] = tenancy.TenantManager.from_queryset(DeploymentQuerySet)()

    class Meta(tenancy.TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["organization", "name"], name="deployments_name"),
            models.CheckConstraint(condition=Q(replica_count__lte=MAX_REPLICAS), name="deployments_replica_count"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def wanted(self) -> Wanted:
        count = 0 if self.is_stopped else self.replica_count
        return Wanted(self.model_version_id, self.serving_version_id, count)

    @property
    def is_rolling_out(self) -> bool:
        """Whether the wanted version does not get the calls yet."""
        return self.serving_version_id != self.model_version_id

    @property
    def ready_replica_count(self) -> int:
        """Replicas that get calls now."""
        return sum(replica.is_serving for replica in self.replicas.all())

    @property
    def restart_count(self) -> int:
        """Restarts of the replicas there are now."""
        return sum(replica.restart_count for replica in self.replicas.all())


class Replica(tenancy.TenantModel):
    """One process that serves one version. Written by the scaler; the row goes when its process has ended for good."""

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="replicas")
    model_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+")
    index = models.PositiveSmallIntegerField()
    status = models.CharField(max_length=10, choices=[(one.value, one.value.title()) for one in ReplicaStatus])
    address = models.CharField(max_length=60, blank=True)
    pid = models.PositiveIntegerField(null=True)
    restart_count = models.PositiveIntegerField(default=0)
    failure_count = models.PositiveIntegerField(default=0)
    changed_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    ready_at = models.DateTimeField(null=True)
    last_healthy_at = models.DateTimeField(null=True)
    retry_at = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True)

    class Meta(tenancy.TenantModel.Meta):
        ordering = ["-model_version_id", "index"]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "deployment", "model_version", "index"], name="deployments_replica_index"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.deployment} {self.index}"

    @property
    def is_serving(self) -> bool:
        return self.status == ReplicaStatus.READY and self.model_version_id == self.deployment.serving_version_id

    @property
    def member(self) -> Member:
        return Member(self.pk, self.model_version_id, self.index, ReplicaStatus(self.status))

    @property
    def life(self) -> Life:
        return Life(
            status=ReplicaStatus(self.status),
            changed_at=self.changed_at,
            started_at=self.started_at,
            ready_at=self.ready_at,
            last_healthy_at=self.last_healthy_at,
            retry_at=self.retry_at,
            failure_count=self.failure_count,
            restart_count=self.restart_count,
            address=self.address,
            pid=self.pid,
            last_error=self.last_error,
        )

    @life.setter
    def life(self, life: Life) -> None:
        for name, value in asdict(life).items():
            setattr(self, name, value)
