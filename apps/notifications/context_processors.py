from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from apps.core import tenancy
from apps.notifications import queries


def inbox(request: HttpRequest) -> dict[str, Any]:
    """How much the person has not read, for the bell; not counted unless shown."""
    return {"unread_count": SimpleLazyObject(lambda: _unread_count(getattr(request, "actor", None)))}


def _unread_count(actor: Any) -> int:
    # A refusal may be shown before the tenant's scope was opened.
    return queries.unread_count(actor.user_id) if actor and tenancy.current() else 0
