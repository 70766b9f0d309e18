"""What limits an organization's calls, in its own words and in the operator's."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone

from apps.core import tenancy
from apps.organizations import plans
from apps.ratelimits.enums import LISTED, Algorithm, Away, EntryKind, GuardAway, Mode, Plane, Quantity, Subject
from apps.ratelimits.matching import LONGEST_HEADER
from apps.ratelimits.querysets import EntryQuerySet, OverrideQuerySet, PolicyQuerySet
from apps.ratelimits.values import LONGEST_MODEL, LONGEST_ROUTE

LARGEST = 10**12
LONGEST_WINDOW_S = 31 * 24 * 3600


def every_plane() -> list[str]:
    return [Plane.PREDICTIONS, Plane.GATEWAY, Plane.API]


def every_call() -> list[str]:
    return [Subject.ORGANIZATION]


class Policy(tenancy.TenantModel):
    """One limit of an organization: `limit` of a quantity in `window_s`, for each combination of its subjects.

    A limit of calls at once has no rate: there `window_s` is how long a call that breaks off holds its place.
    Without a `burst` all of the limit may be used at once. Only an operator pauses a policy, and says why.
    """

    name = models.CharField(max_length=80)
    subject = ArrayField(models.CharField(max_length=20, choices=Subject.choices), default=every_call)
    header = models.CharField(max_length=64, blank=True)
    quantity = models.CharField(max_length=20, choices=Quantity.choices, default=Quantity.REQUESTS)
    algorithm = models.CharField(max_length=20, choices=Algorithm.choices, default=Algorithm.GCRA)
    limit = models.BigIntegerField()
    window_s = models.PositiveIntegerField(default=60)
    burst = models.BigIntegerField(null=True, blank=True)
    is_shadow = models.BooleanField(default=False)
    away = models.CharField(max_length=20, choices=Away.choices, default=Away.LOCAL)
    planes = ArrayField(models.CharField(max_length=20, choices=Plane.choices), default=every_plane)
    routes = ArrayField(models.CharField(max_length=LONGEST_ROUTE), default=list, blank=True)
    paused_at = models.DateTimeField(null=True, blank=True)
    paused_because = models.CharField(max_length=200, blank=True)
    # The last one, because it takes the name of the module that makes them.
    models = ArrayField(models.CharField(max_length=LONGEST_MODEL), default=list, blank=True)

    objects: ClassVar[Any] = tenancy.TenantManager.from_queryset(PolicyQuerySet)()

    class Meta(tenancy.TenantModel.Meta):
        verbose_name_plural = "policies"
        constraints = [
            models.UniqueConstraint("organization", Lower("name"), name="ratelimits_policy_name_ci"),
            models.CheckConstraint(
                condition=Q(limit__gte=1, limit__lte=LARGEST), name="ratelimits_policy_limit_is_positive"
            ),
            models.CheckConstraint(
                condition=Q(window_s__gte=1, window_s__lte=LONGEST_WINDOW_S), name="ratelimits_policy_window_is_bounded"
            ),
            models.CheckConstraint(
                condition=Q(burst__isnull=True) | Q(burst__gte=1, burst__lte=LARGEST),
                name="ratelimits_policy_burst_is_positive",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_concurrency(self) -> bool:
        return self.quantity == Quantity.CONCURRENCY

    @property
    def is_paused(self) -> bool:
        return self.paused_at is not None

    @property
    def mode(self) -> Mode:
        return Mode.of(is_shadow=self.is_shadow, is_paused=self.is_paused)


class Entry(tenancy.TenantModel):
    """One value of a subject that no policy of the organization limits, or that may not call at all."""

    kind = models.CharField(max_length=10, choices=EntryKind.choices)
    subject = models.CharField(max_length=20, choices=LISTED)
    header = models.CharField(max_length=64, blank=True)
    value = models.CharField(max_length=LONGEST_HEADER)
    reason = models.CharField(max_length=200, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[Any] = tenancy.TenantManager.from_queryset(EntryQuerySet)()

    class Meta(tenancy.TenantModel.Meta):
        verbose_name_plural = "entries"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "subject", "header", "value"], name="ratelimits_entry_value_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.header or self.subject} {self.value}"

    @property
    def has_ended(self) -> bool:
        return self.ends_at is not None and self.ends_at <= timezone.now()


class PlanLimitOverride(tenancy.TenantModel):
    """An operator's word on one limit of an organization's plan, until it ends."""

    plan_limit = models.CharField(max_length=40, choices=plans.LIMIT_CHOICES)
    limit = models.BigIntegerField()
    ends_at = models.DateTimeField()
    reason = models.CharField(max_length=200)

    objects: ClassVar[Any] = tenancy.TenantManager.from_queryset(OverrideQuerySet)()

    class Meta(tenancy.TenantModel.Meta):
        verbose_name, verbose_name_plural = "overridden rate limit", "overridden rate limits"
        constraints = [
            models.UniqueConstraint(fields=["organization", "plan_limit"], name="ratelimits_override_once"),
            models.CheckConstraint(
                condition=Q(limit__gte=1, limit__lte=LARGEST), name="ratelimits_override_limit_is_positive"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_plan_limit_display()}: {self.limit}"

    @property
    def has_ended(self) -> bool:
        return self.ends_at <= timezone.now()


class Guard(models.Model):
    """What an operator set of one of the guards in `guards/known.py`. Until then they are as the code says."""

    id = models.CharField(max_length=40, primary_key=True)
    limit = models.BigIntegerField()
    window_s = models.PositiveIntegerField()
    is_shadow = models.BooleanField(default=False)
    away = models.CharField(max_length=20, choices=GuardAway.choices, default=GuardAway.LOCAL)
    changed_at = models.DateTimeField(null=True, blank=True)
    changed_by_label = models.CharField(max_length=200, blank=True)

    objects: ClassVar[Any] = models.Manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(limit__gte=1, limit__lte=LARGEST), name="ratelimits_guard_limit_is_positive"
            ),
            models.CheckConstraint(
                condition=Q(window_s__gte=1, window_s__lte=LONGEST_WINDOW_S), name="ratelimits_guard_window_is_bounded"
            ),
        ]

    def __str__(self) -> str:
        return self.id

    @property
    def mode(self) -> Mode:
        return Mode.of(is_shadow=self.is_shadow)
