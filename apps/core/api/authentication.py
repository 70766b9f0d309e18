"""The API's caller was found by the tenant middleware, which had to open the scope; DRF only takes it over."""

from __future__ import annotations

from typing import Any, cast

from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.request import Request

from apps.core.errors import NotAuthenticated


class ActorAuthentication(BaseAuthentication):
    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        found = cast("Any", request._request)
        if found.actor is None:
            return None
        # A browser sends its cookie by itself, also for another site; a bearer's token is only sent on purpose.
        if found.credential == "session":
            SessionAuthentication().enforce_csrf(request)
        return found.user, found.actor

    def authenticate_header(self, request: Request) -> str:
        return NotAuthenticated.headers["WWW-Authenticate"]
