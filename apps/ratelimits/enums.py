from __future__ import annotations

from django.db import models

from apps.ratelimits import rules


class Subject(models.TextChoices):
    """What a limit is counted for; a policy may name several, and counts each combination by itself."""

    ORGANIZATION = "organization", "the organization"
    TOKEN = "token", "API token"
    USER = "user", "person"
    ADDRESS = "address", "address"
    ROUTE = "route", "route"
    MODEL = "model", "endpoint"
    HEADER = "header", "header"


# Whoever is on a list is somebody or something of the organization, not all of it.
LISTED = [choice for choice in Subject.choices if choice[0] != Subject.ORGANIZATION]


class Mode(models.TextChoices):
    """What becomes of calls that go over a limit: refused, or counted and let pass. An operator may pause either."""

    ENFORCED = "enforced", "Enforced"
    SHADOW = "shadow", "Shadow"
    PAUSED = "paused", "Paused"

    @classmethod
    def of(cls, *, is_shadow: bool, is_paused: bool = False) -> Mode:
        if is_paused:
            return cls.PAUSED
        return cls.SHADOW if is_shadow else cls.ENFORCED


class Quantity(models.TextChoices):
    REQUESTS = "requests", "Requests"
    TOKENS = "tokens", "Tokens"
    COST = "cost", "Cost in millionths of a dollar"
    CONCURRENCY = "concurrency", "Calls at once"


class Algorithm(models.TextChoices):
    """How policies of a rate are counted; calls at once are counted by leases and need none of these."""

    GCRA = rules.Algorithm.GCRA, "Evenly, after a burst"
    WINDOW = rules.Algorithm.WINDOW, "Never more than the limit in any window"


class Away(models.TextChoices):
    LOCAL = rules.Away.LOCAL, "Each process goes on with its share"
    OPEN = rules.Away.OPEN, "Calls pass"
    CLOSED = rules.Away.CLOSED, "Calls are refused"


class GuardAway(models.TextChoices):
    """A guard never lets everything through."""

    LOCAL = Away.LOCAL.value, Away.LOCAL.label
    CLOSED = Away.CLOSED.value, Away.CLOSED.label


class Plane(models.TextChoices):
    PREDICTIONS = "predictions", "Predictions"
    GATEWAY = "gateway", "Model calls"
    API = "api", "REST API"
    CHECK = "check", "Calls of your own services"


# What no call of a plane tells: a policy that needs it is met by none of them.
UNTOLD = {
    Plane.PREDICTIONS: frozenset({Quantity.TOKENS, Quantity.COST}),
    Plane.GATEWAY: frozenset(),
    Plane.API: frozenset({Quantity.TOKENS, Quantity.COST, Subject.MODEL}),
    Plane.CHECK: frozenset(),
}


class EntryKind(models.TextChoices):
    ALLOW = "allow", "Allowed"
    DENY = "deny", "Denied"
