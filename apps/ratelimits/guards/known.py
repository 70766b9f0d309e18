"""The guards of an installation, as they are until an operator changes one. Imports no Django.

To the limiter they are policies of an organization called `installation`, each on the plane of what it watches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from apps.core.edge import Snapshot
from apps.ratelimits.matching import SECTION
from apps.ratelimits.rules import Algorithm, Away

INSTALLATION = "installation"


class Watched(StrEnum):
    """What a guard counts: requests of its routes, or what others tell it of."""

    REQUESTS = "requests"
    FAILED_SIGN_INS = "failed_sign_ins"
    WRONG_TOKENS = "wrong_tokens"


class Of(StrEnum):
    """For whom a guard counts. The account is the one that is named, whether there is one or not."""

    ADDRESS = "address"
    ACCOUNT = "user"


@dataclass(frozen=True, slots=True)
class Guard:
    """`limit` in any `window_s` seconds. What it lets through while Redis is away is never everything."""

    id: str
    title: str
    limit: int
    window_s: int
    of: Of = Of.ADDRESS
    watched: Watched = Watched.REQUESTS
    routes: tuple[str, ...] = ()
    is_shadow: bool = False
    away: Away = Away.LOCAL


KNOWN = {
    guard.id: guard
    for guard in (
        Guard("sign-in", "Signing in", 30, 60, routes=("POST /accounts/login/", "POST /api/v1/auth/token/")),
        Guard("failed-sign-in", "Failed sign-ins", 10, 60, watched=Watched.FAILED_SIGN_INS),
        Guard(
            "failed-sign-in-account",
            "Failed sign-ins to one account",
            5,
            300,
            of=Of.ACCOUNT,
            watched=Watched.FAILED_SIGN_INS,
        ),
        Guard("sign-up", "Signing up", 20, 60, routes=("POST /accounts/signup/",)),
        Guard("reset", "Asking for password resets", 20, 60, routes=("POST /accounts/password/reset/",)),
        Guard(
            "reset-account",
            "Asking for resets of one account",
            5,
            300,
            of=Of.ACCOUNT,
            routes=("POST /accounts/password/reset/",),
        ),
        Guard("reset-key", "Links of password resets", 20, 60, routes=("POST /accounts/password/reset/key/*",)),
        Guard(
            "refresh",
            "Refreshing access tokens",
            120,
            60,
            routes=("POST /api/v1/auth/refresh/", "POST /api/v1/auth/revoke/"),
        ),
        Guard("wrong-token", "Wrong tokens", 60, 60, watched=Watched.WRONG_TOKENS),
        Guard("webhooks-in", "Webhooks that come in", 600, 60, routes=("POST /hooks/*",)),
        Guard("api", "The API as a whole", 6000, 60, routes=("/api/v1/*",)),
    )
}


def section(changed: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The guards compiled, with the columns `changed` of each by its id.

    Strangers make up accounts and addresses, so none of these shares a count with others: who filled the shared ones
    would lock everybody out. Their states end within minutes.
    """
    return {
        "shares_subjects": False,
        "policies": [_policy(guard, changed.get(guard.id, {})) for guard in KNOWN.values()],
    }


def _policy(guard: Guard, changed: Mapping[str, Any]) -> dict[str, Any]:
    now = {
        "limit": guard.limit,
        "window_s": guard.window_s,
        "is_shadow": guard.is_shadow,
        "away": guard.away,
        **changed,
    }
    return {
        "id": guard.id,
        "name": guard.title,
        "subject": [guard.of],
        "header": "",
        "quantity": "requests",
        "algorithm": Algorithm.WINDOW,
        "limit": now["limit"],
        "window_ms": now["window_s"] * 1000,
        "burst": now["limit"],
        "is_shadow": now["is_shadow"],
        "away": now["away"],
        "planes": [guard.watched],
        "routes": list(guard.routes),
        "models": [],
    }


UNCHANGED = section({})


def in_force(published: Snapshot | None) -> Mapping[str, Any]:
    """The guards as an operator changed them, or as they are known while nothing of that is published."""
    return published.sections[SECTION] if published else UNCHANGED
