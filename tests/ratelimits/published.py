"""Policies as they are published, without rows."""

from __future__ import annotations

from typing import Any

from apps.core import snapshots
from apps.ratelimits.matching import SECTION


def policy(name: str = "Each key", **columns: Any) -> dict[str, Any]:
    limit = columns.get("limit", 10)
    return {
        "id": columns.get("id", name.lower().replace(" ", "-")),
        "name": name,
        "subject": ["token"],
        "header": "",
        "quantity": "requests",
        "algorithm": "gcra",
        "limit": limit,
        "window_ms": 60_000,
        "burst": limit,
        "is_shadow": False,
        "away": "local",
        "planes": ["predictions", "api", "check"],
        "routes": [],
        "models": [],
        **columns,
    }


def section(*policies: dict[str, Any], allow: Any = (), deny: Any = ()) -> dict[str, Any]:
    return {"policies": list(policies), "allow": list(allow), "deny": list(deny)}


def publish(organization_id: Any, *policies: dict[str, Any], **lists: Any) -> None:
    """Put policies in force for the control plane, at once."""
    snapshots._publish(str(organization_id), lambda: {SECTION: section(*policies, **lists)})
    snapshots._read.pop(str(organization_id), None)
