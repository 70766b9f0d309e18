from __future__ import annotations

from typing import Any

from django.db import models

from apps.core import tenancy


class AuditEntry(tenancy.TenantModel):
    """One thing that somebody did. Entries are only ever added: the database refuses to change or remove them."""

    # Who removes an organization erases its trail first (`services.erase_trail`); a cascade would be refused.
    organization = models.ForeignKey(
        "organizations.Organization", on_delete=models.DO_NOTHING, related_name="+", editable=False
    )
    actor_kind = models.CharField(max_length=20)
    actor_id = models.UUIDField(null=True)
    actor_label = models.CharField(max_length=200)
    operator_id = models.UUIDField(null=True)
    operator_label = models.CharField(max_length=200, blank=True)
    action = models.CharField(max_length=60)
    subject_type = models.CharField(max_length=60)
    subject_id = models.UUIDField()
    subject_label = models.CharField(max_length=200)
    changes = models.JSONField(default=dict)
    request_id = models.CharField(max_length=64, blank=True)
    address = models.CharField(max_length=45, blank=True)

    class Meta(tenancy.TenantModel.Meta):
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["organization", "-id"], name="audit_newest"),
            models.Index(fields=["organization", "subject_id", "-id"], name="audit_subject_newest"),
            models.Index(fields=["organization", "actor_id", "-id"], name="audit_actor_newest"),
            models.Index(fields=["organization", "action", "-id"], name="audit_action_newest"),
            models.Index(fields=["organization", "subject_type", "-id"], name="audit_type_newest"),
            models.Index(fields=["organization", "request_id"], name="audit_request"),
            models.Index(fields=["organization", "created_at"], name="audit_age"),
            models.Index(fields=["organization", "address", "-id"], name="audit_address_newest"),
            models.Index(
                fields=["organization", "operator_id", "-id"],
                condition=models.Q(operator_id__isnull=False),
                name="audit_operator_newest",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.actor_label}: {self.action}"

    @property
    def told_changes(self) -> list[tuple[str, str]]:
        """What changed, in words on a line."""
        return [(name, f"{before} → {after}" if before else after) for name, before, after in self.compared_changes]

    @property
    def compared_changes(self) -> list[tuple[str, str, str]]:
        """Each changed field with its value before and after, in words; what was made or told has nothing before it."""
        return [(name.replace("_", " "), *self._compared(value)) for name, value in self.changes.items()]

    def _compared(self, value: Any) -> tuple[str, str]:
        # Two scopes of a new token are no change from one to the other: what is created has only values.
        if isinstance(value, list) and len(value) == 2 and not self.action.endswith(".created"):
            return _in_words(value[0]), _in_words(value[1])
        return "", _in_words(value)


def _in_words(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case None | [] | "":
            return "none"
        case list():
            return ", ".join(map(_in_words, value))
        case _:
            return str(value)
