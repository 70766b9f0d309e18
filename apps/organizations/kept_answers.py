"""Where the answer to a POST with an Idempotency-Key is kept: beside what it changed, for the one who asked.

Keys of two callers never meet. Inside an organization the caller is its actor; outside it is the person, and where
nobody is signed in yet, whom the body is about: the account of a sign-in, the family of a refresh token.
"""

from __future__ import annotations

import hmac
import json
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from django.db.models import QuerySet
from django.urls import reverse

from apps.accounts.jwt import families, sign_in
from apps.accounts.models import IdempotentRequest as PersonalRequest
from apps.core import sealing
from apps.core.http import Request
from apps.organizations.models import IdempotentRequest

# The same request may be answered otherwise once somebody has signed in, or has waited.
PASSING = frozenset({401, 429})


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """One key of one caller: the row in `model` that `names` tells, and the `place` that its content is sealed for.

    What a request says is compared with what is kept inside `guard`.
    """

    model: Any
    names: dict[str, Any]
    place: str
    takes_refusals: bool = True
    guard: AbstractContextManager[None] = field(default_factory=nullcontext)

    def rows(self) -> QuerySet[Any]:
        return self.model.objects.filter(**self.names)

    def store(self, **columns: Any) -> None:
        self.model.objects.create(**self.names, **columns)

    def takes(self, status: int) -> bool:
        """Whether an answer is kept. A stranger's refusal changed nothing and would only fill the table."""
        return status < 300 or (self.takes_refusals and status not in PASSING)


def kept_answer_of(request: Request, key: str) -> KeptAnswer | None:
    """None when a request names nobody: it can then only be refused or have no effect."""
    if request.organization is not None:
        place = f"idempotent-request:{request.organization.pk}:{request.actor.id}:{key}"
        return KeptAnswer(IdempotentRequest, {"actor_id": request.actor.id, "key": key}, place)
    if request.actor is not None:
        return _outside(f"person:{request.actor.id}", key)
    return _of_sign_in(request, key)


def _of_sign_in(request: Request, key: str) -> KeptAnswer | None:
    told = _json_object(request)
    email, refresh = told.get("email"), told.get("refresh")
    if isinstance(email, str) and request.path_info == reverse("auth-token"):
        # Comparing tells whether a password is right, so it counts as an attempt to sign in.
        account = email.strip().lower()
        guard = sign_in.counted_attempt(request, account)
        return _outside(f"account:{account}", key, takes_refusals=False, guard=guard)
    family = families.family_named_by(refresh) if isinstance(refresh, str) else None
    return _outside(f"family:{family}", key, takes_refusals=False) if family else None


def _outside(caller: str, key: str, **how: Any) -> KeptAnswer:
    keyed = _keyed(caller)
    return KeptAnswer(PersonalRequest, {"caller": keyed, "key": key}, f"idempotent-request:{keyed}:{key}", **how)


def _json_object(request: Request) -> dict[str, Any]:
    if request.content_type != "application/json":
        return {}
    try:
        told = json.loads(request.body)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _keyed(caller: str) -> str:
    """So that a database dump does not tell who asked."""
    return hmac.digest(sealing.key_for("idempotent caller"), ascii(caller).encode(), "sha256").hex()
