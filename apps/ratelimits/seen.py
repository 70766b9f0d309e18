"""What the limiter decided, added up by policy and minute: for pages that show who is limited. Imports no Django."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Counts:
    """What a policy decided in a minute or longer. `would_refuse` is what a shadow policy let pass and counted.

    `least_headroom` is the smallest share of the limit that was left, from 0 to 1; None when nobody called.
    """

    passed: int = 0
    refused: int = 0
    would_refuse: int = 0
    least_headroom: float | None = None


@dataclass(frozen=True, slots=True)
class Minute:
    at: datetime
    counts: Counts


@dataclass(frozen=True, slots=True)
class Limited:
    """Somebody whom a policy refused in the last minute. `subject` as in `matching.Matched.subjects`."""

    policy: str
    subject: str
    refused: int
    last_at: datetime


def limited_now(client: Any, organization_id: str) -> list[Limited]:
    """Who was refused within the last minute, those refused most first."""
    return []


def over_time(client: Any, organization_id: str, policy: str, since: datetime) -> list[Minute]:
    """The minutes since then in which the policy decided, in their order."""
    return []


def summed(client: Any, organization_id: str, since: datetime) -> Mapping[str, Counts]:
    """What each policy decided since then, by its id, in one round trip."""
    return {}
