"""The one table of who may do what. Pages, the API, tokens, templates and tests all read it."""

from __future__ import annotations

from apps.organizations.enums import Role

AREAS = {
    "organization": "the organization's name, address, time zone and security",
    "members": "people, their roles and invitations",
    "projects": "projects, the labels of work",
    "tokens": "one's own API tokens",
    "organization_tokens": "the organization's API tokens, and everybody's",
    "audit": "the trail of who did what, and how long it is kept",
    "notifications": "one's own inbox and what one is told",
    "webhooks": "webhooks and their deliveries",
    "datasets": "datasets and their versions",
    "training": "training runs",
    "models": "models and their versions",
    "deployments": "deployments and their replicas",
    "predictions": "predictions of deployed models",
    "gateway": "the gateway: upstreams, routes, virtual keys, and calling models",
    "model_calls": "records of models' calls, with their bodies where a route keeps them",
    "prices": "what models cost",
    "jobs": "background jobs",
    "usage": "usage and its cost",
    "limits": "limits of calls, and who is limited",
    "calls": "records of calls",
}

ROLES = {
    Role.OWNER: "Everything, also handing the organization over, deleting it, and how long its trail is kept.",
    Role.ADMIN: "Everything but handing the organization over, deleting it, and how long its trail is kept.",
    Role.DEVELOPER: "Builds: data, training, models, deployments and own tokens.",
    Role.ANALYST: "Reads what others built, and changes nothing.",
    Role.BILLING: "Sees usage and its cost, and nothing of the data.",
}

EVERYBODY = frozenset(Role)
READERS = EVERYBODY - {Role.BILLING}
BUILDERS = READERS - {Role.ANALYST}
MANAGERS = BUILDERS - {Role.DEVELOPER}
OWNERS = frozenset({Role.OWNER})

TABLE: dict[str, frozenset[Role]] = {
    "organization.read": EVERYBODY,
    "organization.write": MANAGERS,
    "organization.transfer": OWNERS,
    "organization.leave": EVERYBODY,
    "organization.export": MANAGERS,
    "organization.delete": OWNERS,
    "members.read": EVERYBODY,
    "members.write": MANAGERS,
    "projects.read": READERS,
    "projects.write": BUILDERS,
    "tokens.read": BUILDERS,
    "tokens.write": BUILDERS,
    "organization_tokens.read": MANAGERS,
    "organization_tokens.write": MANAGERS,
    "audit.read": MANAGERS,
    "audit.write": OWNERS,
    "notifications.read": EVERYBODY,
    "notifications.write": EVERYBODY,
    "webhooks.read": BUILDERS,
    "webhooks.write": BUILDERS,
    "datasets.read": READERS,
    "datasets.write": BUILDERS,
    "training.read": READERS,
    "training.write": BUILDERS,
    "models.read": READERS,
    "models.write": BUILDERS,
    "deployments.read": READERS,
    "deployments.write": BUILDERS,
    "predictions.create": BUILDERS,
    "gateway.read": READERS,
    "gateway.write": MANAGERS,
    "gateway.call": BUILDERS,
    "model_calls.read": READERS,
    "prices.read": EVERYBODY,
    "prices.write": MANAGERS,
    "jobs.read": READERS,
    "jobs.write": BUILDERS,
    "jobs.work": BUILDERS,
    "usage.read": EVERYBODY,
    "limits.read": READERS,
    "limits.write": MANAGERS,
    "limits.check": BUILDERS,
    "calls.read": READERS,
}
ALL = frozenset(TABLE)
ROLE_PERMISSIONS = {role: frozenset(p for p, roles in TABLE.items() if role in roles) for role in Role}


def permissions_of(role: str) -> frozenset[str]:
    return ROLE_PERMISSIONS[Role(role)]
