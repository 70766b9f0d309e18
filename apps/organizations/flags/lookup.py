"""Whether an organization has a feature: one short question to Redis, and to PostgreSQL only after a change.

Redis holds one generation of all flags, which a change replaces after its commit. Each process keeps what it decided
under the generation it read *before* it decided, so an answer that a change overtook is never given again. A change
whose process died before it could tell counts after a minute; without Redis each question is decided anew.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any
from uuid import UUID

import redis
from django.conf import settings

from apps.core import tenancy
from apps.organizations.flags.deciding import is_within
from apps.organizations.flags.errors import FeatureSwitchedOff, UnknownFlag
from apps.organizations.flags.known import KNOWN, Flag
from apps.organizations.models import FeatureFlag, FlagChoice

KEY = "flags:generation"
KEPT_S = 60
MOST_ORGANIZATIONS = 2000


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether an organization has a feature; `is_chosen` where an operator said so for this one."""

    flag: Flag
    is_on: bool
    is_chosen: bool


def is_on(name: str, organization_id: UUID) -> bool:
    """Whether the organization has the feature. Raises `UnknownFlag` for what the code does not declare."""
    if name not in KNOWN:
        raise UnknownFlag(f"No flag `{name}` in flags/known.py.")
    generation = _generation()
    if generation is None:
        return name in _features(organization_id)
    return name in _kept(organization_id, generation, int(time.time()) // KEPT_S)


def require(name: str, organization_id: UUID) -> None:
    """Raises `FeatureSwitchedOff`, `UnknownFlag`."""
    if not is_on(name, organization_id):
        raise FeatureSwitchedOff(title=KNOWN[name].title)


def decisions(organization_id: UUID) -> list[Decision]:
    """Every feature as it is for the organization now, past what is kept."""
    percentages = dict(FeatureFlag.objects.values_list("name", "percentage"))
    with tenancy.scope(organization_id):
        chosen = dict(FlagChoice.objects.values_list("flag", "is_on"))
    return [
        Decision(flag, chosen[name], is_chosen=True)
        if name in chosen
        else Decision(flag, is_within(percentages.get(name, flag.percentage), name, organization_id), is_chosen=False)
        for name, flag in KNOWN.items()
    ]


def forget() -> None:
    """Have every process decide anew."""
    try:
        _client().set(KEY, secrets.token_hex(8))
    except redis.RedisError:
        # Whoever cannot read the generation decides anew anyway; an old one ends within a minute.
        _kept.cache_clear()


@lru_cache(maxsize=MOST_ORGANIZATIONS)
def _kept(organization_id: UUID, generation: bytes, minute: int) -> frozenset[str]:
    return _features(organization_id)


def _features(organization_id: UUID) -> frozenset[str]:
    return frozenset(decision.flag.name for decision in decisions(organization_id) if decision.is_on)


def _generation() -> bytes | None:
    """The present one, begun if Redis has lost it; None while Redis is away."""
    begun = secrets.token_hex(8)
    try:
        found: Any = _client().set(KEY, begun, nx=True, get=True)
    except redis.RedisError:
        return None
    return found or begun.encode()


@cache
def _client() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)
