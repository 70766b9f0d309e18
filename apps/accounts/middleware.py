"""Sessions that know who visits."""

from __future__ import annotations

from typing import cast

from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest

from apps.accounts.sessions import SessionStore
from apps.core import agents


class VisitedSessionMiddleware(SessionMiddleware):
    """Tells the session engine from which address and with which browser the request comes."""

    def process_request(self, request: HttpRequest) -> None:
        super().process_request(request)
        address = request.META.get("REMOTE_ADDR") or ""
        agent = agents.kept(request.headers.get("User-Agent", ""))
        cast(SessionStore, request.session).visit = {"address": address[:45], "agent": agent}
