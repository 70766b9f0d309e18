from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from apps.organizations import queries
from apps.organizations.models import Membership


def memberships(request: HttpRequest) -> dict[str, Any]:
    """The organizations of the signed-in person, for the switcher; not asked for unless shown."""
    return {"memberships": SimpleLazyObject(lambda: _memberships(getattr(request, "user", None)))}


def _memberships(user: Any) -> list[Membership]:
    return queries.memberships_of(user) if user and user.is_authenticated else []
