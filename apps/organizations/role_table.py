"""The table of roles in words, for people and for the API."""

from __future__ import annotations

from dataclasses import dataclass

from apps.organizations.enums import Role
from apps.organizations.permissions import AREAS, ROLES, TABLE

VERBS = {
    "read": "see",
    "write": "change",
    "create": "ask for",
    "call": "use",
    "check": "ask about",
    "work": "work on",
    "transfer": "hand over",
    "leave": "leave",
    "export": "export",
    "delete": "delete",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One permission, and for each role in `Role`'s order whether it has it."""

    permission: str
    verb: str
    allowed: list[bool]

    @property
    def roles(self) -> list[Role]:
        return [role for role, may in zip(Role, self.allowed, strict=True) if may]


@dataclass(frozen=True, slots=True)
class Area:
    """A part of the product, and its permissions."""

    name: str
    description: str
    rows: list[Row]

    @property
    def verbs_by_role(self) -> list[str]:
        """For each role in `Role`'s order what it may do here, in words."""
        return [", ".join(row.verb for row in self.rows if row.allowed[index]) for index in range(len(Role))]


def areas() -> list[Area]:
    return [Area(name, description, _rows(name)) for name, description in AREAS.items()]


def roles() -> list[tuple[Role, str]]:
    """Each role and what it is for."""
    return list(ROLES.items())


def _rows(area: str) -> list[Row]:
    found = [(permission, allowed) for permission, allowed in TABLE.items() if permission.partition(".")[0] == area]
    return [Row(p, VERBS[p.partition(".")[2]], [role in allowed for role in Role]) for p, allowed in found]
