"""Opens the tenant of a request: from the address of a page, from the token or session of an API call."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import structlog
from django.contrib.auth.models import AnonymousUser
from django.http import HttpResponse

from apps.core import tenancy
from apps.core.actors import Actor
from apps.core.errors import DomainError, NotAuthenticated
from apps.core.http import Request
from apps.core.refusals import refusal
from apps.organizations import queries, services
from apps.organizations.models import Organization

GetResponse = Callable[[Request], HttpResponse]

PAGE_PATH = re.compile(r"^/o/([^/]+)/")
API_PATH = "/api/v1/"


def _inside(request: Request, organization: Organization, actor: Actor, get_response: GetResponse) -> HttpResponse:
    request.organization, request.actor = organization, actor
    bound = structlog.contextvars.bound_contextvars(organization=organization.slug, actor=actor.label)
    with tenancy.scope(organization.pk), bound:
        return get_response(request)


class TenantMiddleware:
    """Pages under `/o/<slug>/`. An organization one does not belong to looks like one that does not exist."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponse:
        found = PAGE_PATH.match(request.path_info)
        if found is None or not request.user.is_authenticated:
            return self.get_response(request)
        try:
            membership = queries.membership_in(request.user, found.group(1))
        except DomainError as error:
            return refusal(request, error)
        request.membership = membership
        actor = queries.actor_for_member(membership, request.user, request)
        return _inside(request, membership.organization, actor, self.get_response)

    def process_view(self, request: Request, view: Any, args: tuple, kwargs: dict[str, Any]) -> None:
        kwargs.pop("organization_slug", None)


class ApiTenantMiddleware:
    """Calls under `/api/v1/`: an API token names its organization, a session says which in a header."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponse:
        if not request.path_info.startswith(API_PATH):
            return self.get_response(request)
        try:
            organization, actor = self._caller(request)
        except DomainError as error:
            return refusal(request, error)
        return _inside(request, organization, actor, self.get_response)

    def _caller(self, request: Request) -> tuple[Organization, Actor]:
        if authorization := request.headers.get("Authorization"):
            return self._token_caller(request, authorization)
        if not request.user.is_authenticated:
            raise NotAuthenticated
        slug = request.headers.get(queries.ORGANIZATION_HEADER)
        membership = queries.membership_for_api(request.user, slug)
        return membership.organization, queries.actor_for_member(membership, request.user, request)

    def _token_caller(self, request: Request, authorization: str) -> tuple[Organization, Actor]:
        kind, _, text = authorization.partition(" ")
        if kind.lower() != "bearer":
            raise NotAuthenticated
        address, agent = queries.client_address(request), request.headers.get("User-Agent", "")
        token = services.admit_token(text.strip(), address=address, agent=agent)
        request.user = queries.person_of(token) or AnonymousUser()
        return token.organization, queries.actor_for_token(token, request)
