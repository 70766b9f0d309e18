"""Who an API call is from: a browser's session, a person's access token, or an API token of one organization.

A call with an `Authorization` header is judged by that alone, so that a stale cookie never speaks for a token.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AnonymousUser

from apps.accounts.jwt import families
from apps.accounts.models import User
from apps.core.actors import Actor
from apps.core.errors import NotAuthenticated
from apps.core.http import Request, actor_for_person, client_address
from apps.organizations import errors, queries, services
from apps.organizations.models import Organization

OURS = "my_"  # what every API token begins with
JWT_DOTS = 2  # between its three parts; a text that is neither kind of token is told so


DELETION_PATH = "/api/v1/organization/deletion/"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, for which organization if any, and what proved it: session, access_token or api_token."""

    user: Any
    actor: Actor
    organization: Organization | None
    credential: str


def member(request: Request) -> Caller:
    """Who calls an operation of an organization. Raises `NotAuthenticated` and what tells why a token is refused."""
    text = _bearer(request)
    if text is not None and text.startswith(OURS):
        return _api_token(request, text)
    user, credential = _person(request, text)
    membership = queries.membership_for_api(user, request.headers.get(queries.ORGANIZATION_HEADER))
    actor = queries.actor_for_member(membership, user, request, even_closed=_reopens(request))
    return Caller(user, actor, membership.organization, credential)


def person(request: Request) -> Caller:
    """Who calls an operation on what is theirs, outside every organization. Raises `PersonalCallNeeded` too."""
    text = _bearer(request)
    if text is not None and text.startswith(OURS):
        raise errors.PersonalCallNeeded
    user, credential = _person(request, text)
    return Caller(user, actor_for_person(user, request), None, credential)


def _reopens(request: Request) -> bool:
    """The one call that a closed organization still answers."""
    return request.method == "DELETE" and request.path_info == DELETION_PATH


def _bearer(request: Request) -> str | None:
    authorization = request.headers.get("Authorization")
    if authorization is None:
        return None
    scheme, _, text = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise NotAuthenticated
    return text.strip()


def _person(request: Request, text: str | None) -> tuple[User, str]:
    if text is not None:
        if text.count(".") != JWT_DOTS:
            raise NotAuthenticated
        return families.person_behind(text), "access_token"
    if not request.user.is_authenticated:
        raise NotAuthenticated
    return request.user, "session"


def _api_token(request: Request, text: str) -> Caller:
    address, agent = client_address(request), request.headers.get("User-Agent", "")
    token = services.admit_token(text, address=address, agent=agent, even_closed=_reopens(request))
    user = queries.person_of(token) or AnonymousUser()
    return Caller(user, queries.actor_for_token(token, request), token.organization, "api_token")
