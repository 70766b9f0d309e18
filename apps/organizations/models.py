"""The tenant, its people and its tokens."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MinLengthValidator, RegexValidator
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from apps.core import tenancy
from apps.core.ids import uuid7
from apps.organizations import plans
from apps.organizations.enums import InvitationStatus, Role, TokenKind, TokenStatus
from apps.organizations.permissions import ALL, permissions_of
from apps.organizations.querysets import ApiTokenQuerySet, InvitationQuerySet

DELETION_HOLD = timedelta(days=30)
SLUG = RegexValidator(r"^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$", "Use small letters, digits and single hyphens inside.")


class Organization(models.Model):
    """The tenant: everything else belongs to one."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    slug = models.CharField(max_length=40, unique=True, validators=[MinLengthValidator(2), SLUG])
    name = models.CharField(max_length=80)
    time_zone = models.CharField(max_length=60, default="UTC")
    requires_second_factor = models.BooleanField(default=False)
    plan = models.CharField(max_length=20, choices=plans.CHOICES, default=plans.FIRST)
    audit_retention_days = models.PositiveSmallIntegerField(default=365)
    suspended_at = models.DateTimeField(null=True, blank=True)
    suspended_because = models.CharField(max_length=200, blank=True)
    deletion_requested_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            # So that shortening it is no way to remove what somebody just did.
            models.CheckConstraint(
                condition=models.Q(audit_retention_days__gte=30), name="organizations_trail_is_kept_a_month"
            )
        ]
        indexes = [
            models.Index(
                fields=["deletion_requested_at"],
                name="organizations_closed",
                condition=models.Q(deletion_requested_at__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_suspended(self) -> bool:
        return self.suspended_at is not None

    @property
    def longest_trail_days(self) -> int:
        return plans.PLANS[self.plan].longest_trail_days

    @property
    def is_closed(self) -> bool:
        """Its owners asked for its deletion, and may take that back until `erased_after`."""
        return self.deletion_requested_at is not None

    @property
    def is_active(self) -> bool:
        """Whether its people, tokens, jobs and webhooks go on."""
        return not (self.is_suspended or self.is_closed)

    @property
    def erased_after(self) -> datetime | None:
        return self.deletion_requested_at + DELETION_HOLD if self.deletion_requested_at else None

    @property
    def days_left(self) -> int | None:
        """Days until its erasure, begun ones counted."""
        if self.erased_after is None:
            return None
        return max(-((timezone.now() - self.erased_after) // timedelta(days=1)), 0)


class Membership(tenancy.TenantModel):
    principal_field: ClassVar[str] = "user_id"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role.choices)

    class Meta(tenancy.TenantModel.Meta):
        ordering = ["created_at"]
        constraints = [models.UniqueConstraint(fields=["organization", "user"], name="organizations_membership_once")]

    def __str__(self) -> str:
        return f"{self.user} ({self.role})"

    @property
    def permissions(self) -> frozenset[str]:
        return permissions_of(self.role)


class ActingSession(tenancy.TenantModel):
    """An operator who looks at the organization as one of its people: for a reason, for a while, and only looks."""

    operator_id = models.UUIDField()
    operator_label = models.CharField(max_length=200)
    membership = models.ForeignKey(Membership, null=True, on_delete=models.SET_NULL, related_name="+")
    person_label = models.CharField(max_length=200)
    reason = models.CharField(max_length=200)
    ends_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.operator_label} as {self.person_label}"


class Invitation(tenancy.TenantModel):
    """An offer of a role to whoever holds the link and owns the address it was sent to."""

    email = models.EmailField()
    role = models.CharField(max_length=20, choices=Role.choices)
    invited_by = models.ForeignKey(Membership, null=True, on_delete=models.SET_NULL, related_name="invitations")
    secret_hash = models.CharField(max_length=80)
    sent_at = models.DateTimeField()
    sent_count = models.PositiveSmallIntegerField(default=1)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[Any] = tenancy.TenantManager.from_queryset(InvitationQuerySet)()

    class Meta(tenancy.TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "email"],
                condition=models.Q(accepted_at__isnull=True, revoked_at__isnull=True),
                name="organizations_invitation_open_once",
            )
        ]

    def __str__(self) -> str:
        return self.email

    @property
    def status(self) -> InvitationStatus:
        if self.accepted_at:
            return InvitationStatus.ACCEPTED
        if self.revoked_at:
            return InvitationStatus.REVOKED
        return InvitationStatus.EXPIRED if self.expires_at <= timezone.now() else InvitationStatus.OPEN

    @property
    def is_pending(self) -> bool:
        return self.accepted_at is None and self.revoked_at is None


class Project(tenancy.TenantModel):
    """A label that groups an organization's work."""

    name = models.CharField(max_length=80)
    description = models.CharField(max_length=300, blank=True)

    class Meta(tenancy.TenantModel.Meta):
        ordering = ["name"]
        constraints = [models.UniqueConstraint("organization", Lower("name"), name="organizations_project_name_ci")]

    def __str__(self) -> str:
        return self.name


class ApiToken(tenancy.TenantModel):
    """A secret that acts within its scopes: for the person who made it, or for the organization itself.

    Only keyed hashes are stored. After a rotation the previous secret works until `previous_expires_at`.
    """

    kind = models.CharField(max_length=20, choices=TokenKind.choices, default=TokenKind.PERSONAL)
    membership = models.ForeignKey(Membership, null=True, on_delete=models.SET_NULL, related_name="tokens")
    name = models.CharField(max_length=80)
    secret_hash = models.CharField(max_length=80)
    previous_hash = models.CharField(max_length=80, blank=True)
    previous_expires_at = models.DateTimeField(null=True, blank=True)
    scopes = ArrayField(models.CharField(max_length=40))
    allowed_networks = ArrayField(models.CharField(max_length=49), default=list, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    last_used_address = models.CharField(max_length=45, blank=True)
    last_used_agent = models.CharField(max_length=200, blank=True)

    objects: ClassVar[Any] = tenancy.TenantManager.from_queryset(ApiTokenQuerySet)()

    class Meta(tenancy.TenantModel.Meta):
        indexes = [models.Index(fields=["organization", "-id"], name="organizations_token_newest")]

    def __str__(self) -> str:
        return self.name

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()

    @property
    def status(self) -> str:
        if self.revoked_at:
            return TokenStatus.REVOKED
        if self.is_expired:
            return TokenStatus.EXPIRED
        return TokenStatus.DISABLED if self.is_orphaned else TokenStatus.ACTIVE

    @property
    def is_orphaned(self) -> bool:
        """A personal token whose person is no member any more."""
        return self.kind == TokenKind.PERSONAL and self.membership_id is None

    @property
    def overlaps_until(self) -> datetime | None:
        """Until when the secret before the last rotation works, if it still does."""
        ends_at = self.previous_expires_at
        return ends_at if ends_at and ends_at > timezone.now() and self.status == "active" else None

    @property
    def permissions(self) -> frozenset[str]:
        """What the token may do: its scopes, of a personal one those that its person's role still has."""
        if self.kind == TokenKind.ORGANIZATION:
            return ALL.intersection(self.scopes)
        return self.membership.permissions.intersection(self.scopes) if self.membership else frozenset()


class IdempotentRequest(tenancy.TenantModel):
    """The answer to a POST that carried an Idempotency-Key, kept to be given again."""

    actor_id = models.UUIDField()
    key = models.CharField(max_length=200)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    content_type = models.CharField(max_length=100)
    location = models.CharField(max_length=500, blank=True)
    body = models.BinaryField()

    class Meta(tenancy.TenantModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=["organization", "actor_id", "key"], name="organizations_idempotent_once")
        ]
        indexes = [models.Index(fields=["organization", "created_at"], name="organizations_idempotent_age")]


class FeatureFlag(models.Model):
    """To which share of the organizations a feature is open. `FlagChoice` overrules it for one of them."""

    name = models.CharField(max_length=60, primary_key=True)
    description = models.CharField(max_length=300)
    percentage = models.PositiveSmallIntegerField()
    changed_at = models.DateTimeField(null=True, blank=True)
    changed_by_label = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(percentage__lte=100), name="organizations_flag_percentage_is_a_share"
            )
        ]

    def __str__(self) -> str:
        return self.name


class FlagChoice(tenancy.TenantModel):
    """An operator's word on one feature for one organization."""

    flag = models.CharField(max_length=60)
    is_on = models.BooleanField()

    class Meta(tenancy.TenantModel.Meta):
        constraints = [models.UniqueConstraint(fields=["organization", "flag"], name="organizations_flag_choice_once")]

    def __str__(self) -> str:
        return f"{self.flag}: {'on' if self.is_on else 'off'}"
