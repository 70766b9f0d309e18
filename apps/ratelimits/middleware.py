"""Where the control plane asks the limiter: the guards before anybody is known, an organization's policies after."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.http import HttpResponse, StreamingHttpResponse
from django.urls import Resolver404, resolve

from apps.accounts.errors import TooManyTries
from apps.accounts.jwt.errors import TooManyAttempts
from apps.core import snapshots
from apps.core.access_log import route_of
from apps.core.errors import DomainError
from apps.core.formatting import format_wait
from apps.core.http import Request
from apps.core.refusals import refusal
from apps.organizations.middleware import API_PATH, SIGN_IN_PATH
from apps.ratelimits import asking, headers, refusals
from apps.ratelimits.enums import Plane
from apps.ratelimits.guards.asking import Asking, ask
from apps.ratelimits.guards.known import Watched
from apps.ratelimits.matching import SECTION, Asked, Matched, rules_for
from apps.ratelimits.rules import Decision

ACCOUNT_PATH = "/accounts/"
_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")

GetResponse = Callable[[Request], HttpResponse]


class GuardMiddleware:
    """Counts what strangers ask for by address and account, and the wrong tokens of an address."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponse:
        address, path = request.META.get("REMOTE_ADDR") or "", request.path_info
        said = ask(Watched.REQUESTS, address, _account_named(request), request.method or "", path)
        if not said.decision.is_allowed:
            return refusal(request, _refused(said, path))
        response = self.get_response(request)
        if response.status_code == 401 and "Authorization" in request.headers:
            said = ask(Watched.WRONG_TOKENS, address)
            if not said.decision.is_allowed:
                return refusal(request, _refused(said, path))
        return response


class PolicyMiddleware:
    """Calls of the API are limited by the policies of the caller's organization. Stands behind the tenant's."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponse:
        if request.organization is None or not request.path_info.startswith(API_PATH):
            return self.get_response(request)
        matched = rules_for(section_of(request), asked_by(request, Plane.API, _route(request)))
        if matched.denied:
            return refusal(request, refusals.denied(matched.denied))
        if not matched.rules:
            return self.get_response(request)
        decision = asking.decide(str(request.organization.pk), matched)
        if not decision.is_allowed:
            return refusal(request, refusals.refused(decision, matched.policies))
        return self._limited(request, matched, decision)

    def _limited(self, request: Request, matched: Matched, decision: Decision) -> HttpResponse:
        asking.extender().begin(decision)
        response = self.get_response(request)
        for name, value in headers.fields(decision, matched.policies):
            response.headers.setdefault(name, value)
        if isinstance(response, StreamingHttpResponse):
            response._resource_closers.append(lambda: asking.extender().end(decision))
        else:
            asking.extender().end(decision)
        return response


def section_of(request: Request) -> dict | None:
    """The limits of the caller's organization as they are published."""
    published = snapshots.read(request.organization.pk)
    return published.sections.get(SECTION) if published else None


def asked_by(request: Request, plane: Plane, route: str) -> Asked:
    """What the limiter is told of a call of the API."""
    actor = request.actor
    return Asked(
        str(request.organization.pk),
        plane,
        request.method or "",
        route,
        address=request.META.get("REMOTE_ADDR") or "",
        user=str(actor.user_id or ""),
        token=str(actor.id) if actor.kind == "token" else "",
        header=lambda name: request.headers.get(name, ""),
    )


def _route(request: Request) -> str:
    """The call's path as the API's documentation writes it."""
    try:
        return _PARAMETER.sub(_documented, route_of(resolve(request.path_info)))
    except Resolver404:
        return ""


def _documented(parameter: re.Match[str]) -> str:
    name = parameter.group(1)
    return "{id}" if name == "pk" else f"{{{name}}}"


def _account_named(request: Request) -> str:
    """Whom a form without a signed-in person is about. No other form is read before it is known who sends it."""
    if request.method != "POST" or not request.path_info.startswith(ACCOUNT_PATH):
        return ""
    return request.POST.get("email", "")


def _refused(said: Asking, path: str) -> DomainError:
    if path.startswith("/api/") and not path.startswith(SIGN_IN_PATH):
        return refusals.refused(said.decision, said.matched.policies)
    if path.startswith(SIGN_IN_PATH):
        return TooManyAttempts(seconds=said.wait_s)
    error = TooManyTries(wait=format_wait(said.wait_s))
    error.headers = {"Retry-After": str(said.wait_s)}  # type: ignore[misc]
    return error
