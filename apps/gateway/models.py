"""Routes, what they lead to, who may use them, and what became of each call."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from apps.core import tenancy
from apps.deployments.models import Deployment
from apps.gateway.enums import BudgetPeriod, CacheMode, ErrorClass, Face, Kind, Strategy
from apps.logs.models import Answered
from apps.organizations.models import ApiToken

PUBLIC_NAME = RegexValidator(
    r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}\Z",
    "Use letters, digits, dots, colons, slashes, hyphens and underscores, and begin with a letter or digit.",
)
LONGEST_MODEL = 120
MOST_ATTEMPTS = 10
DAY_MS = 86_400_000


def choices(words: Any, **labels: str) -> list[tuple[str, str]]:
    return [(word.value, labels.get(word.value, word.value.replace("_", " ").capitalize())) for word in words]


KINDS = choices(
    Kind, openai="OpenAI", azure="Azure OpenAI", compatible="OpenAI-compatible", json="HTTP JSON", local="Local model"
)
STRATEGIES = choices(Strategy, weighted="By weight", least_busy="Least busy", sticky="Sticky by caller")
ERROR_CLASSES = choices(ErrorClass)


class Upstream(tenancy.TenantModel):
    """A provider's account, or a server of one's own, that answers models' calls. A local one needs no address."""

    name = models.CharField(max_length=80)
    kind = models.CharField(max_length=20, choices=KINDS)
    base_url = models.CharField(max_length=500, blank=True)
    api_version = models.CharField(max_length=40, blank=True)
    headers = models.JSONField(default=dict, blank=True)
    most_at_once = models.PositiveIntegerField(null=True, blank=True)
    health_path = models.CharField(max_length=200, blank=True)
    health_interval_s = models.PositiveIntegerField(default=30, validators=[MinValueValidator(5)])
    is_paused = models.BooleanField(default=False)

    class Meta(tenancy.TenantModel.Meta):
        constraints = [models.UniqueConstraint(fields=["organization", "name"], name="gateway_upstream_name")]

    def __str__(self) -> str:
        return self.name

    @property
    def sealing_place(self) -> str:
        """What its keys are sealed for."""
        return f"gateway:{self.organization_id}:{self.pk}"


class UpstreamKey(tenancy.TenantModel):
    """A key of an upstream. Nobody reads it back; `hint` are its last characters."""

    upstream = models.ForeignKey(Upstream, on_delete=models.CASCADE, related_name="keys")
    name = models.CharField(max_length=80)
    sealed = models.BinaryField()
    hint = models.CharField(max_length=8)
    is_paused = models.BooleanField(default=False)

    class Meta(tenancy.TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["organization", "upstream", "name"], name="gateway_upstream_key_name")
        ]

    def __str__(self) -> str:
        return self.name


class Route(tenancy.TenantModel):
    """A model by the name that callers use."""

    name = models.CharField(max_length=100, validators=[PUBLIC_NAME])
    description = models.CharField(max_length=300, blank=True)
    strategy = models.CharField(max_length=20, choices=STRATEGIES, default=Strategy.WEIGHTED.value)
    deadline_ms = models.PositiveIntegerField(default=120_000, validators=[MaxValueValidator(DAY_MS)])
    first_byte_ms = models.PositiveIntegerField(default=60_000, validators=[MaxValueValidator(DAY_MS)])
    idle_ms = models.PositiveIntegerField(default=30_000, validators=[MaxValueValidator(DAY_MS)])
    attempts = models.PositiveSmallIntegerField(default=3, validators=[MaxValueValidator(MOST_ATTEMPTS)])
    hedge_after_ms = models.PositiveIntegerField(null=True, blank=True)
    max_request_bytes = models.PositiveIntegerField(default=4 * 1024 * 1024)
    cache_mode = models.CharField(max_length=10, choices=choices(CacheMode), default=CacheMode.OFF.value)
    cache_ttl_s = models.PositiveIntegerField(default=3_600)
    cache_threshold = models.FloatField(default=0.95, validators=[MinValueValidator(0.5), MaxValueValidator(1.0)])
    bodies_days = models.PositiveSmallIntegerField(null=True, blank=True, validators=[MaxValueValidator(90)])
    is_paused = models.BooleanField(default=False)

    class Meta(tenancy.TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["organization", "name"], name="gateway_route_name"),
            models.CheckConstraint(
                condition=Q(attempts__gte=1, attempts__lte=MOST_ATTEMPTS), name="gateway_route_attempts"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Target(tenancy.TenantModel):
    """One place where a route may send: a model of an upstream, or one of the organization's own deployments.

    Tier 0 is tried first. A later tier gets what the ones before it failed with, if it is among `on`, or, where that is
    empty, if another attempt may do better. `when` are the conditions of `docs/gateway-design.md`.
    """

    route = models.ForeignKey(Route, on_delete=models.CASCADE, related_name="targets")
    upstream = models.ForeignKey(Upstream, null=True, blank=True, on_delete=models.PROTECT, related_name="targets")
    deployment = models.ForeignKey(
        Deployment, null=True, blank=True, on_delete=models.PROTECT, related_name="gateway_targets"
    )
    model = models.CharField(max_length=LONGEST_MODEL, blank=True)
    weight = models.PositiveIntegerField(default=100, validators=[MaxValueValidator(10_000)])
    tier = models.PositiveSmallIntegerField(default=0, validators=[MaxValueValidator(9)])
    on = ArrayField(models.CharField(max_length=20, choices=ERROR_CLASSES), default=list, blank=True)
    when = models.JSONField(default=dict, blank=True)

    class Meta(tenancy.TenantModel.Meta):
        constraints = [
            models.CheckConstraint(
                condition=Q(upstream__isnull=False, deployment__isnull=True)
                | Q(upstream__isnull=True, deployment__isnull=False),
                name="gateway_target_leads_somewhere",
            )
        ]

    def __str__(self) -> str:
        return f"{self.upstream or self.deployment} {self.model}".strip()


class VirtualKey(tenancy.TenantModel):
    """What an API token may do in the gateway. Without `routes` it may use all; those that are gone stay forbidden."""

    token = models.OneToOneField(ApiToken, on_delete=models.CASCADE, related_name="virtual_key")
    routes = ArrayField(models.UUIDField(), null=True, blank=True)
    budget_micro_usd = models.BigIntegerField(null=True, blank=True)
    budget_period = models.CharField(max_length=10, choices=choices(BudgetPeriod), default=BudgetPeriod.MONTH.value)
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)
    tokens_per_minute = models.PositiveIntegerField(null=True, blank=True)
    tags = models.JSONField(default=dict, blank=True)

    class Meta(tenancy.TenantModel.Meta):
        constraints = [
            models.CheckConstraint(
                condition=Q(budget_micro_usd__isnull=True) | Q(budget_micro_usd__gte=0),
                name="gateway_key_budget_is_no_debt",
            )
        ]

    def __str__(self) -> str:
        return str(self.token)


class ModelCall(Answered, tenancy.TenantModel):
    """One call, refused ones included. Written by the sink; what it names by id may be gone."""

    created_at = models.DateTimeField(db_default=Now(), editable=False)
    occurred_at = models.DateTimeField()
    request_id = models.TextField()
    face = models.TextField()
    route = models.TextField()
    route_id = models.UUIDField(null=True)
    upstream_id = models.UUIDField(null=True)
    upstream = models.TextField()
    model = models.TextField()
    status = models.IntegerField()
    error_code = models.TextField()
    error_class = models.TextField()
    is_stream = models.BooleanField()
    latency_us = models.BigIntegerField()
    first_token_us = models.BigIntegerField(null=True)
    input_tokens = models.BigIntegerField(null=True)
    cached_tokens = models.BigIntegerField(null=True)
    cache_write_tokens = models.BigIntegerField(null=True)
    output_tokens = models.BigIntegerField(null=True)
    reasoning_tokens = models.BigIntegerField(null=True)
    is_estimated = models.BooleanField()
    cost_micro_usd = models.BigIntegerField(null=True)
    saved_micro_usd = models.BigIntegerField(null=True)
    cache = models.TextField()
    attempts = models.JSONField()
    tags = models.JSONField()
    token_id = models.UUIDField(null=True)
    user_id = models.UUIDField(null=True)
    client = models.TextField()
    experiment = models.TextField()
    fault = models.TextField()
    request_bytes = models.BigIntegerField()
    response_bytes = models.BigIntegerField()

    class Meta(tenancy.TenantModel.Meta):
        indexes = [
            models.Index(fields=["organization", "-id"], name="gateway_calls_newest"),
            models.Index(
                fields=["organization", "occurred_at"],
                include=["status", "latency_us", "route", "cost_micro_usd"],
                name="gateway_calls_by_time",
            ),
            models.Index(fields=["organization", "route", "-id"], name="gateway_calls_by_route"),
            models.Index(fields=["organization", "token_id", "-id"], name="gateway_calls_by_token"),
            models.Index(fields=["organization", "request_id"], name="gateway_calls_by_request"),
        ]

    def __str__(self) -> str:
        return f"{self.route} {self.status}"

    @property
    def prompt_tokens(self) -> int | None:
        """All that was read, from the provider's cache or not."""
        read = (self.input_tokens, self.cached_tokens, self.cache_write_tokens)
        return None if self.input_tokens is None else sum(tokens or 0 for tokens in read)

    @property
    def first_token_ms(self) -> float | None:
        return None if self.first_token_us is None else self.first_token_us / 1000


class ModelCallBody(tenancy.TenantModel):
    """What a call sent and what it was answered, redacted; its id is the call's."""

    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()
    request = models.TextField()
    response = models.TextField()

    class Meta(tenancy.TenantModel.Meta):
        verbose_name_plural = "model call bodies"
        indexes = [models.Index(fields=["organization", "expires_at"], name="gateway_bodies_by_end")]

    def __str__(self) -> str:
        return str(self.pk)


FACES = choices(Face)
