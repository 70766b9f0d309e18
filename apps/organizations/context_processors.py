from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from apps.organizations import queries


def memberships(request: HttpRequest) -> dict[str, Any]:
    """The organizations of the signed-in person, for the switcher; not asked for unless shown."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {"memberships": []}
    return {"memberships": SimpleLazyObject(lambda: queries.memberships_of(user))}
