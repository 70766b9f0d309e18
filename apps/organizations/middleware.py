"""Opens the tenant of a request: from the address of a page, from the token or session of an API call."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import structlog
from django.http import HttpResponse

from apps.accounts import second_factor
from apps.core import tenancy
from apps.core.actors import Actor
from apps.core.errors import DomainError
from apps.core.http import Request
from apps.core.refusals import refusal
from apps.organizations import acting, callers, queries
from apps.organizations.errors import SecondFactorRequired
from apps.organizations.models import Membership, Organization

GetResponse = Callable[[Request], HttpResponse]

PAGE_PATH = re.compile(r"^/o/([^/]+)/")
API_PATH = "/api/v1/"
SIGN_IN_PATH = "/api/v1/auth/"
PERSON_PATH = "/api/v1/organizations/"


def _as(request: Request, organization: Organization | None, actor: Actor, get_response: GetResponse) -> HttpResponse:
    """Answer as `actor`, inside the organization if there is one."""
    request.organization, request.actor = organization, actor
    slug = organization.slug if organization else ""
    scope = tenancy.scope(organization.pk) if organization else nullcontext()
    with scope, structlog.contextvars.bound_contextvars(organization=slug, actor=actor.label):
        return get_response(request)


def _remember_page(request: Request) -> None:
    """Where the person goes on once the second factor is set up."""
    if request.method == "GET" and not request.htmx:
        request.session[second_factor.WANTED_PAGE] = request.get_full_path()


class TenantMiddleware:
    """Pages under `/o/<slug>/`. An organization one does not belong to looks like one that does not exist."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponse:
        found = PAGE_PATH.match(request.path_info)
        if found is None or not request.user.is_authenticated:
            return self.get_response(request)
        try:
            membership, actor = self._admitted(request, found.group(1))
        except SecondFactorRequired as error:
            _remember_page(request)
            return refusal(request, error)
        except DomainError as error:
            return refusal(request, error)
        request.membership = membership
        return _as(request, membership.organization, actor, self.get_response)

    def _admitted(self, request: Request, slug: str) -> tuple[Membership, Actor]:
        """The member who asks, or the one as whom an operator looks."""
        request.acting = acting.lasting(request.session, request.user, slug)
        if request.acting:
            return request.acting.membership, acting.actor(request.acting, request)
        membership = queries.membership_in(request.user, slug)
        return membership, queries.actor_for_member(membership, request.user, request)

    def process_view(self, request: Request, view: Any, args: tuple, kwargs: dict[str, Any]) -> None:
        kwargs.pop("organization_slug", None)


class ApiTenantMiddleware:
    """Calls under `/api/v1/`, for which somebody has to be known; signing in itself is for everybody."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponse:
        path = request.path_info
        if not path.startswith(API_PATH) or path.startswith(SIGN_IN_PATH):
            return self.get_response(request)
        try:
            caller = callers.person(request) if path.startswith(PERSON_PATH) else callers.member(request)
        except DomainError as error:
            return refusal(request, error)
        request.user, request.credential = caller.user, caller.credential
        return _as(request, caller.organization, caller.actor, self.get_response)
