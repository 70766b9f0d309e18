"""Which organizations a share means. Pure: the same answer in every process, and the same tomorrow."""

from __future__ import annotations

import hashlib
from uuid import UUID

PARTS = 100


def part_of(name: str, organization_id: UUID) -> int:
    """Where an organization stands between 0 and 99, another place for each flag."""
    digest = hashlib.sha256(f"{name}:{organization_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % PARTS


def is_within(percentage: int, name: str, organization_id: UUID) -> bool:
    """Whether the organization is among `percentage` of all; a larger share takes nobody out again."""
    return part_of(name, organization_id) < percentage
