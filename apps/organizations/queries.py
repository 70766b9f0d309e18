"""Who is asking, and where they belong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils.text import slugify

from apps.accounts import second_factor
from apps.accounts.models import User
from apps.core import tenancy, tokens
from apps.core.actors import Actor
from apps.core.errors import DomainError, NotAuthenticated, NotFound
from apps.core.http import Request, actor_for_person, client_address
from apps.organizations.enums import Role, TokenKind
from apps.organizations.errors import (
    OrganizationClosed,
    OrganizationHeaderNeeded,
    OrganizationMissing,
    OrganizationNotYours,
    OrganizationSuspended,
    PersonNeeded,
    SecondFactorRequired,
)
from apps.organizations.models import DELETION_HOLD, ApiToken, Membership, Organization
from apps.organizations.permissions import permissions_of
from apps.organizations.querysets import ApiTokenQuerySet

ORGANIZATION_HEADER = "Modelyard-Organization"


def slug_of(name: str) -> str:
    """The address that a name suggests."""
    wanted = slugify(name)[:30].strip("-_").replace("_", "-")
    return wanted if len(wanted) > 1 else "team"


def is_free(slug: str) -> bool:
    return not Organization.objects.filter(slug=slug).exists()


def locked_organization() -> Organization:
    """The scope's organization, locked, so that rules hold for what happens at the same moment."""
    return Organization.objects.select_for_update(no_key=True).get(pk=tenancy.current_tenant_id())


def due_for_erasure() -> QuerySet[Organization]:
    """Closed organizations whose time to be reopened is over, by the database's clock."""
    return Organization.objects.filter(deletion_requested_at__lte=Now() - DELETION_HOLD)


def owner_addresses() -> list[str]:
    """Where the scope's owners who can sign in are written to."""
    owners = Membership.objects.filter(role=Role.OWNER, user__is_active=True)
    return list(owners.order_by("user__email").values_list("user__email", flat=True))


def memberships_of(user: User) -> list[Membership]:
    """The person's memberships in every organization, oldest first."""
    with tenancy.principal(user.pk):
        return list(Membership.objects.select_related("organization", "user").order_by("created_at"))


def membership_in(user: User, slug: str) -> Membership:
    """The person's membership in the organization at `slug`; `NotFound` for anybody else's."""
    return _named(memberships_of(user), slug, NotFound)


def _named(memberships: list[Membership], slug: str, refusal: type[DomainError]) -> Membership:
    for membership in memberships:
        if membership.organization.slug == slug:
            return membership
    raise refusal


def owned_alone(user: User) -> list[Organization]:
    """The organizations whose only owner is the person."""
    return [membership.organization for membership in memberships_of(user) if is_only_owner(membership)]


def is_only_owner(membership: Membership) -> bool:
    """Whether nobody else could act for the organization. A closed one ends without anybody."""
    is_open = not membership.organization.is_closed
    return is_open and membership.role == Role.OWNER and not has_other_owner(membership)


def has_other_owner(membership: Membership) -> bool:
    """Whether the organization has another owner who can sign in."""
    with tenancy.scope(membership.organization_id):
        owners = Membership.objects.filter(role=Role.OWNER, user__is_active=True)
        return owners.exclude(pk=membership.pk).exists()


def locked_memberships(*ids: UUID) -> dict[UUID, Membership]:
    """The rows, locked until the transaction ends, and every owner's with them.

    So two changes at the same moment cannot leave no owner behind; all take the locks in one order.
    """
    wanted = Membership.objects.filter(Q(role=Role.OWNER) | Q(pk__in=ids))
    rows = wanted.select_related("user", "organization").select_for_update(of=("self",)).order_by("id")
    found = {row.pk: row for row in rows}
    if not found.keys() >= set(ids):
        raise NotFound
    return found


def roles_within(actor: Actor) -> list[tuple[str, str]]:
    """The roles, value and words, that can do no more than the actor."""
    return [(role.value, str(role.label)) for role in Role if permissions_of(role) <= actor.permissions]


def own_membership(actor: Actor) -> Membership:
    """The membership of the person who acts. Raises `PersonNeeded` for a token of the organization or the operator."""
    membership = Membership.objects.select_related("user").filter(user_id=actor.user_id).first()
    if membership is None:
        raise PersonNeeded
    return membership


def require_active(organization: Organization, *, even_closed: bool = False) -> None:
    """Raises `OrganizationClosed`, unless somebody is on the way to reopen it, and `OrganizationSuspended`."""
    if organization.is_closed and even_closed:
        return
    if organization.erased_after:
        raise OrganizationClosed(day=organization.erased_after.date().isoformat(), slug=organization.slug)
    if organization.is_suspended:
        raise OrganizationSuspended(because=organization.suspended_because)


def require_admission(membership: Membership, *, even_closed: bool = False) -> None:
    """Whether the organization lets its member in now, on the way to reopen it even when it is closed.

    Raises `OrganizationClosed`, `OrganizationSuspended`, `SecondFactorRequired`.
    """
    require_active(membership.organization, even_closed=even_closed)
    _require_second_factor(membership)


def _require_second_factor(membership: Membership) -> None:
    """Raises `SecondFactorRequired` where the organization asks for one that the person has not."""
    organization = membership.organization
    if organization.requires_second_factor and not second_factor.is_enabled(membership.user):
        raise SecondFactorRequired(organization=organization.name, slug=organization.slug)


def actor_for_member(membership: Membership, user: User, request: Request, *, even_closed: bool = False) -> Actor:
    """A person inside an organization. Raises as `require_admission`."""
    require_admission(membership, even_closed=even_closed)
    return replace(actor_for_person(user, request), permissions=membership.permissions)


def token_for(text: str) -> ApiToken:
    """The usable token behind its text. One answer for every way to be wrong."""
    parsed = tokens.parse(text)
    if parsed is None:
        raise NotAuthenticated
    with tenancy.scope(UUID(parsed.organization_id)):
        rows = ApiToken.objects.usable().with_overlap().select_related("organization", "membership__user")
        token = rows.filter(id=parsed.token_id).first()
    if token is None or not _is_secret_of(token, parsed.secret):
        raise NotAuthenticated
    return token


def _is_secret_of(token: Any, secret: str) -> bool:
    """The secret, or for a while after a rotation the one before it."""
    if tokens.matches(secret, token.secret_hash):
        return True
    return bool(token.is_overlapping) and tokens.matches(secret, token.previous_hash)


def person_of(token: ApiToken) -> User | None:
    """Whom a usable personal token acts for; nobody for one of the organization."""
    return token.membership.user if token.membership and token.kind == TokenKind.PERSONAL else None


def acts_for(token: ApiToken, actor: Actor) -> bool:
    """Whether a personal token is the actor's own."""
    owner = person_of(token)
    return owner is not None and owner.pk == actor.user_id


def is_in_charge_of(actor: Actor, token: ApiToken) -> bool:
    """People change and revoke their own tokens; all others need a right over the organization's, or the console."""
    return acts_for(token, actor) or actor.can("organization_tokens.write") or actor.kind == "operator"


def may_learn_secret(actor: Actor, token: ApiToken) -> bool:
    """Whether a new secret may be shown to the actor, who can then do whatever the token may do."""
    is_theirs = token.kind == TokenKind.ORGANIZATION or acts_for(token, actor)
    return is_theirs and is_in_charge_of(actor, token) and token.permissions <= actor.permissions


def tokens_shown_to(actor: Actor) -> ApiTokenQuerySet:
    """The tokens that act for the actor's person; with `organization_tokens.read` all of the organization's."""
    rows = ApiToken.objects.select_related("membership__user")
    return rows if actor.can("organization_tokens.read") else rows.of_person(actor.user_id)


def actor_for_token(token: ApiToken, request: Request) -> Actor:
    """A token can do what its scopes say, a personal one no more than its person still may."""
    owner = person_of(token)
    return Actor(
        kind="token",
        id=token.pk,
        label=f"{token.name} ({owner.email if owner else 'token of the organization'})",
        permissions=token.permissions,
        user_id=owner.pk if owner else None,
        address=client_address(request),
        request_id=request.id,
    )


def membership_for_api(user: User, slug: str | None) -> Membership:
    """The organization that a signed-in person's API call is for.

    Raises `OrganizationNotYours`, `OrganizationMissing`, `OrganizationHeaderNeeded`.
    """
    memberships = memberships_of(user)
    if slug:
        return _named(memberships, slug, OrganizationNotYours)
    if not memberships:
        raise OrganizationMissing
    if len(memberships) > 1:
        raise OrganizationHeaderNeeded
    return memberships[0]
