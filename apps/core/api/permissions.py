"""Which permission an operation needs: the view's area, and whether it only reads."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from apps.core.actors import Actor
from apps.core.errors import NotAuthenticated


class AreaPermission(BasePermission):
    def has_permission(self, request: Request, view: Any) -> bool:
        if not isinstance(request.auth, Actor):
            raise NotAuthenticated
        request.auth.require(needed_permission(view, request.method or "GET"))
        return True


class PersonPermission(BasePermission):
    """For operations on what is a person's own, whatever their role somewhere is."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if not isinstance(request.auth, Actor) or request.auth.kind != "user":
            raise NotAuthenticated
        return True


def needed_permission(view: Any, method: str) -> str:
    """`permissions_by_action` of the view if it names the action, otherwise `<area>.read` or `<area>.write`."""
    by_action = getattr(view, "permissions_by_action", {})
    if permission := by_action.get(getattr(view, "action", None)):
        return permission
    return f"{view.permission_area}.{'read' if method in SAFE_METHODS else 'write'}"
