"""What every answer tells a browser: which content may run, who may frame or keep it, how it is reached."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from csp.middleware import CSPMiddleware, PolicyParts
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from apps.core.addresses import is_trusted

GetResponse = Callable[[HttpRequest], HttpResponse]

FORWARDED_SCHEME = "HTTP_X_FORWARDED_PROTO"


class ForwardedSchemeMiddleware:
    """Forgets what a client that is no proxy of ours (TRUSTED_PROXIES) says about its scheme.

    Stands before whatever changes REMOTE_ADDR; SECURE_PROXY_SSL_HEADER believes what is left.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not is_trusted(request.META.get("REMOTE_ADDR") or "", settings.TRUSTED_PROXIES):
            request.META.pop(FORWARDED_SCHEME, None)
        return self.get_response(request)


class SecurityHeadersMiddleware:
    """Adds SECURITY_HEADERS to every answer that does not set them itself.

    A browser keeps nothing but static files, which carry headers of their own: after a logout, Back shows nothing.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        for name, value in settings.SECURITY_HEADERS.items():
            response.headers.setdefault(name, value)
        return response


class ContentPolicyMiddleware(CSPMiddleware):
    """The policy of our own pages; CONTENT_POLICIES_BY_PREFIX tells what tools need that cannot live under it."""

    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False
    ) -> PolicyParts:
        parts = super().get_policy_parts(request, response, report_only)
        parts.replace = {**_replaced(request.path_info), **(parts.replace or {})}
        return parts


def _replaced(path: str) -> dict[str, Any]:
    policies: dict[str, dict[str, Any]] = settings.CONTENT_POLICIES_BY_PREFIX
    return next((policy for prefix, policy in policies.items() if path.startswith(prefix)), {})
