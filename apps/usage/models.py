"""The one ledger: quotas, costs, dashboards and invoices read these rows and keep no count of their own."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.db.models import Value
from django.db.models.fields.json import KT
from django.db.models.functions import Coalesce, Left, Now

from apps.core import tenancy
from apps.core.formatting import format_date
from apps.organizations import plans
from apps.organizations.models import Organization
from apps.usage import meters
from apps.usage.querysets import UsageEventQuerySet

# What events are summed by, beside their meter. Each is a column of the events and of both sums.
DIMENSIONS = ("token", "user", "model", "deployment", "prompt", "tag")
# The key of a sum holds all of them, and has to fit into a page of its index.
DIMENSION_MAX_CHARS = 100


def _dimension(name: str) -> models.GeneratedField:
    """A copy of a dimension, empty if there is none: under row-level security a condition on JSON uses no index."""
    text = Coalesce(Left(KT(f"dimensions__{name}"), DIMENSION_MAX_CHARS), Value(""))
    return models.GeneratedField(expression=text, output_field=models.TextField(db_collation="C"), db_persist=True)


class UsageEvent(tenancy.TenantModel):
    """One use of one meter. The producer chose `id`, so an event that arrives twice counts once.

    Partitioned by the months of `id`, which is a UUID of version 7 and at most a day away from `occurred_at`. The key
    is (organization, id), so that an id that is taken tells nothing of other organizations.
    """

    # Its sums refer to the organization, which is checked once a batch there, and would be once a row here.
    organization = models.ForeignKey(
        "organizations.Organization", on_delete=models.CASCADE, related_name="+", editable=False, db_constraint=False
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    meter = models.TextField(db_collation="C")
    quantity = models.BigIntegerField()
    cost_micro_usd = models.BigIntegerField(null=True)
    occurred_at = models.DateTimeField()
    dimensions = models.JSONField(default=dict)
    token = _dimension("token")
    user = _dimension("user")
    model = _dimension("model")
    deployment = _dimension("deployment")
    prompt = _dimension("prompt")
    tag = _dimension("tag")

    objects: ClassVar[Any] = tenancy.TenantManager.from_queryset(UsageEventQuerySet)()

    class Meta(tenancy.TenantModel.Meta):
        indexes = [models.Index(fields=["organization", "occurred_at"], name="usage_event_by_time")]

    def __str__(self) -> str:
        return f"{self.quantity} {self.meter}"


class Total(tenancy.TenantModel):
    """The ledger's rows of a span of time added up, so that a page costs the same however many rows there are.

    A trigger of the ledger adds to it in the transaction that adds the rows; nothing else writes it. A dimension that
    an event does not have is the empty text.
    """

    meter = models.TextField(db_collation="C")
    token = models.TextField(db_collation="C")
    user = models.TextField(db_collation="C")
    model = models.TextField(db_collation="C")
    deployment = models.TextField(db_collation="C")
    prompt = models.TextField(db_collation="C")
    tag = models.TextField(db_collation="C")
    quantity = models.BigIntegerField()
    cost_micro_usd = models.BigIntegerField(null=True)
    event_count = models.BigIntegerField()

    class Meta(tenancy.TenantModel.Meta):
        abstract = True

    def __str__(self) -> str:
        return f"{self.quantity} {self.meter}"


class UsageSum(Total):
    at = models.DateTimeField(help_text="Beginning of the half hour.")

    class Meta(Total.Meta):
        constraints = [
            models.UniqueConstraint(fields=["organization", "at", "meter", *DIMENSIONS], name="usage_sum_once"),
        ]


class UsageDay(Total):
    day = models.DateField(help_text="In UTC.")

    class Meta(Total.Meta):
        constraints = [
            models.UniqueConstraint(fields=["organization", "day", "meter", *DIMENSIONS], name="usage_day_once"),
        ]


class Entitlement(models.Model):
    """How much of a meter a plan includes in a calendar month (UTC), of a stock at any time."""

    plan = models.CharField(max_length=20, choices=plans.CHOICES)
    meter = models.CharField(max_length=40, choices=meters.CHOICES)
    included = models.BigIntegerField(null=True, blank=True, help_text="Empty: unlimited.")
    is_hard = models.BooleanField(default=False, help_text="Whether more is refused. Otherwise it is only told.")
    changed_at = models.DateTimeField(null=True, blank=True, editable=False)
    changed_by_label = models.CharField(max_length=200, blank=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["plan", "meter"], name="usage_entitlement_once"),
            models.CheckConstraint(condition=models.Q(included__gte=0), name="usage_entitlement_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.get_meter_display()} of {self.get_plan_display()}"


class Override(tenancy.TenantModel):
    """Another amount than the plan's, for one organization and until it ends; whether it is hard stays the plan's."""

    meter = models.CharField(max_length=40, choices=meters.CHOICES)
    included = models.BigIntegerField(null=True, blank=True, help_text="Empty: unlimited.")
    ends_at = models.DateTimeField()
    reason = models.CharField(max_length=200)
    operator_label = models.CharField(max_length=200)

    class Meta(tenancy.TenantModel.Meta):
        verbose_name, verbose_name_plural = "overridden amount", "overridden amounts"
        indexes = [models.Index(fields=["organization", "ends_at"], name="usage_override_by_end")]
        constraints = [
            models.CheckConstraint(condition=models.Q(included__gte=0), name="usage_override_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.get_meter_display()} until {format_date(self.ends_at)}"


class QuotaNotice(tenancy.TenantModel):
    """That people were told that so many percent of an amount are used, once in a period."""

    meter = models.CharField(max_length=40)
    period = models.CharField(max_length=7)
    percent = models.PositiveSmallIntegerField()

    class Meta(tenancy.TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["organization", "meter", "period", "percent"], name="usage_notice_once"),
        ]

    def __str__(self) -> str:
        return f"{self.percent} % of {self.meter}"


class OrganizationUsage(Organization):
    """An organization as somebody who uses up what the installation has."""

    class Meta:
        proxy = True
        verbose_name = "use of an organization"
        verbose_name_plural = "largest users"
