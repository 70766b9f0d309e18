"""Who is asking, and where they belong."""

from __future__ import annotations

from uuid import UUID

from apps.accounts.models import User
from apps.core import tenancy, tokens
from apps.core.actors import Actor
from apps.core.errors import NotAuthenticated, NotFound
from apps.core.http import Request
from apps.organizations.errors import OrganizationHeaderNeeded
from apps.organizations.models import ApiToken, Membership

ORGANIZATION_HEADER = "Modelyard-Organization"


def client_address(request: Request) -> str:
    return request.META.get("REMOTE_ADDR") or ""


def memberships_of(user: User) -> list[Membership]:
    """The person's memberships in every organization, oldest first."""
    with tenancy.principal(user.pk):
        return list(Membership.objects.select_related("organization").order_by("created_at"))


def membership_in(user: User, slug: str) -> Membership:
    """The person's membership in the organization at `slug`; `NotFound` for anybody else's."""
    for membership in memberships_of(user):
        if membership.organization.slug == slug:
            return membership
    raise NotFound


def actor_for_member(membership: Membership, user: User, request: Request) -> Actor:
    return Actor(
        kind="user",
        id=user.pk,
        label=user.email,
        permissions=membership.permissions,
        user_id=user.pk,
        address=client_address(request),
        request_id=request.id,
    )


def token_for(text: str) -> ApiToken:
    """The usable token behind its text. One answer for every way to be wrong."""
    parsed = tokens.parse(text)
    if parsed is None:
        raise NotAuthenticated
    with tenancy.scope(UUID(parsed.organization_id)):
        rows = ApiToken.objects.usable().select_related("organization", "membership__user")
        token = rows.filter(id=parsed.token_id).first()
    if token is None or not tokens.matches(parsed.secret, token.secret_hash):
        raise NotAuthenticated
    return token


def maker_of(token: ApiToken) -> Membership:
    """Who made a usable token; one whose maker left is not usable."""
    if token.membership is None:
        raise NotAuthenticated
    return token.membership


def actor_for_token(token: ApiToken, request: Request) -> Actor:
    """A token can do what its scopes say and its maker still may."""
    maker = maker_of(token)
    return Actor(
        kind="token",
        id=token.pk,
        label=f"{token.name} ({maker.user.email})",
        permissions=frozenset(token.scopes) & maker.permissions,
        user_id=maker.user_id,
        address=client_address(request),
        request_id=request.id,
    )


def membership_for_api(user: User, slug: str | None) -> Membership:
    """The organization that a signed-in person's API call is for."""
    if slug:
        return membership_in(user, slug)
    memberships = memberships_of(user)
    if not memberships:
        raise NotFound
    if len(memberships) > 1:
        raise OrganizationHeaderNeeded
    return memberships[0]
