"""The one table of who may do what. Pages, the API, tokens, templates and tests all read it."""

from __future__ import annotations

from apps.organizations.enums import Role

AREAS = {
    "organization": "the organization's name and settings",
    "members": "people and their roles",
    "tokens": "API tokens",
    "audit": "the trail of who did what",
    "datasets": "datasets and their versions",
    "training": "training runs",
    "models": "models and their versions",
    "deployments": "deployments and their replicas",
    "jobs": "background jobs",
    "usage": "usage and its cost",
    "calls": "records of calls",
}
READ = frozenset(f"{area}.read" for area in AREAS)
WRITE = frozenset(f"{area}.write" for area in ("datasets", "training", "models", "deployments", "jobs"))
PREDICT = frozenset({"predictions.create"})
ADMINISTER = frozenset({"organization.write", "members.write", "tokens.write"})
OWN = frozenset({"organization.delete"})

ROLE_PERMISSIONS: dict[str, frozenset[str]] = {
    Role.OWNER: READ | WRITE | PREDICT | ADMINISTER | OWN,
    Role.ADMIN: READ | WRITE | PREDICT | ADMINISTER,
    Role.DEVELOPER: (READ - {"audit.read"}) | WRITE | PREDICT | {"tokens.write"},
    Role.VIEWER: READ - {"audit.read", "tokens.read"},
}
ALL = ROLE_PERMISSIONS[Role.OWNER]


def permissions_of(role: str) -> frozenset[str]:
    return ROLE_PERMISSIONS[role]
