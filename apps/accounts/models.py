"""People and how they are signed in. A person is global; what they may do is decided by their memberships."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower, Now

from apps.accounts.enums import MailStatus
from apps.core.ids import uuid7


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        """An operator. Whoever may make one needs not prove the address by mail."""
        from apps.accounts import services

        user = self.create_user(email, password, is_staff=True, is_superuser=True, **fields)
        services.confirm_address(user)
        return user


class User(AbstractBaseUser, PermissionsMixin):
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    email = models.EmailField(unique=True)
    name = models.CharField(max_length=120, blank=True)
    time_zone = models.CharField(max_length=60, blank=True)
    is_staff = models.BooleanField("operator", default=False, help_text="May use the operator's console.")
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="accounts_user_email_ci")]

    def __str__(self) -> str:
        return self.name or self.email

    def get_short_name(self) -> str:
        return self.name or self.email.split("@", 1)[0]


class Session(models.Model):
    """A browser that is signed in, or about to be. Neither its key nor its content can be read from the database."""

    key_hash = models.CharField(max_length=64, primary_key=True)
    id = models.UUIDField(default=uuid7, unique=True, editable=False)
    user = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="sessions")
    content = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)
    last_seen_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    address = models.CharField(max_length=45, blank=True)
    agent = models.CharField(max_length=200, blank=True)

    def __str__(self) -> str:
        return str(self.id)


class SigningKey(models.Model):
    """Signs access and refresh tokens. The newest signs; older ones verify until they are retired."""

    id = models.CharField(max_length=32, primary_key=True)
    sealed_private_key = models.BinaryField()
    public_key = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)
    retires_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.id


class RefreshFamily(models.Model):
    """One sign-in of a program: a chain of refresh tokens of which only the last one is valid.

    `auth_hash` follows the password, so that a change of it ends the family.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="refresh_families")
    current_jti = models.CharField(max_length=32)
    auth_hash = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_because = models.CharField(max_length=40, blank=True)
    address = models.CharField(max_length=45, blank=True)
    agent = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name_plural = "refresh families"

    def __str__(self) -> str:
        return str(self.id)


class Mail(models.Model):
    """A mail on its way to a server, or kept for the operator where there is none.

    Its content may hold live links: it is sealed, and forgotten once a server has taken it.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    to = ArrayField(models.EmailField())
    subject = models.CharField(max_length=300)
    sealed_content = models.BinaryField()
    message_id = models.CharField(max_length=300)
    status = models.CharField(max_length=10, choices=MailStatus.choices)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(db_default=Now())
    lease_until = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["next_attempt_at"], condition=Q(status=MailStatus.WAITING), name="accounts_mail_due")
        ]

    def __str__(self) -> str:
        return self.subject


class IdempotentRequest(models.Model):
    """The answer to a POST outside an organization that carried an Idempotency-Key, kept to be given again."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    caller = models.CharField(max_length=64)
    key = models.CharField(max_length=200)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    content_type = models.CharField(max_length=100)
    location = models.CharField(max_length=500, blank=True)
    body = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["caller", "key"], name="accounts_idempotent_once")]

    def __str__(self) -> str:
        return self.key
