"""Who is asking: the one shape that permissions, services and the audit trail see."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from apps.core.errors import PermissionMissing, ScopeMissing


@dataclass(frozen=True, slots=True)
class Actor:
    """A person, token, operator or the system itself, as it acts inside one organization.

    While an operator acts as a person, `operator_id` and `operator_label` name the operator behind that person.
    """

    kind: str
    id: UUID | None
    label: str
    permissions: frozenset[str] = field(default_factory=frozenset)
    user_id: UUID | None = None
    address: str = ""
    request_id: str = ""
    operator_id: UUID | None = None
    operator_label: str = ""

    def can(self, permission: str) -> bool:
        return permission in self.permissions

    def require(self, permission: str) -> None:
        if not self.can(permission):
            raise (ScopeMissing if self.kind == "token" else PermissionMissing)(permission=permission)


SYSTEM = Actor(kind="system", id=None, label="system")
