"""What people can do with organizations, members and tokens."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.text import slugify

from apps.accounts.models import User
from apps.core import snapshots, tenancy, tokens
from apps.core.actors import Actor
from apps.core.ids import uuid7
from apps.organizations import errors
from apps.organizations.enums import Role
from apps.organizations.models import ApiToken, Membership, Organization
from apps.organizations.permissions import ALL, permissions_of
from apps.organizations.signals import action_taken

TOKEN_LIFETIME = timedelta(days=90)


def create_organization(name: str, owner: User, slug: str = "") -> Organization:
    """Found an organization with `owner` as its first owner. Raises `SlugTaken`."""
    slug = slug or _free_slug(name)
    try:
        with transaction.atomic():
            organization = Organization.objects.create(name=name, slug=slug)
    except IntegrityError:
        raise errors.SlugTaken(field="slug", slug=slug) from None
    with tenancy.scope(organization.pk), transaction.atomic():
        membership = Membership.objects.create(user=owner, role=Role.OWNER)
        founder = Actor("user", owner.pk, owner.email, membership.permissions, owner.pk)
        _tell(founder, "organization.created", organization, {"name": name, "slug": slug})
        snapshots.publish_on_commit(organization.pk)
    return organization


def _free_slug(name: str) -> str:
    wanted = slugify(name)[:30] or "team"
    if len(wanted) > 1 and not Organization.objects.filter(slug=wanted).exists():
        return wanted
    return f"{wanted}-{secrets.token_hex(3)}"


def rename_organization(organization: Organization, name: str, *, by: Actor) -> Organization:
    before = organization.name
    organization.name = name
    organization.save(update_fields=["name"])
    _tell(by, "organization.renamed", organization, {"name": [before, name]})
    return organization


@transaction.atomic
def add_member(email: str, role: str, *, by: Actor) -> Membership:
    """Make somebody who has signed up a member. Raises `NoSuchPerson`, `MemberExists`, `RoleAboveOwn`."""
    _require_role_within(by, role)
    user = User.objects.filter(email__iexact=email, is_active=True).first()
    if user is None:
        raise errors.NoSuchPerson(field="email", email=email)
    if Membership.objects.filter(user=user).exists():
        raise errors.MemberExists(field="email", email=email)
    membership = Membership.objects.create(user=user, role=role)
    _tell(by, "member.added", membership, {"email": user.email, "role": role})
    return membership


@transaction.atomic
def change_role(membership: Membership, role: str, *, by: Actor) -> Membership:
    """Raises `RoleAboveOwn`, `LastOwner`."""
    membership = _locked(membership)
    _require_role_within(by, role)
    _require_role_within(by, membership.role)
    if role != Role.OWNER:
        _require_other_owner(membership)
    before, membership.role = membership.role, role
    membership.save(update_fields=["role"])
    _tell(by, "member.role_changed", membership, {"role": [before, role]})
    snapshots.publish_on_commit(membership.organization_id)
    return membership


@transaction.atomic
def remove_member(membership: Membership, *, by: Actor) -> None:
    """Their tokens stop with them. Raises `RoleAboveOwn`, `LastOwner`."""
    membership = _locked(membership)
    _require_role_within(by, membership.role)
    _require_other_owner(membership)
    _tell(by, "member.removed", membership, {"email": membership.user.email, "role": membership.role})
    snapshots.publish_on_commit(membership.organization_id)
    membership.delete()


def _locked(membership: Membership) -> Membership:
    """The row, with every owner's row locked as well, so that two removals cannot both leave one owner behind."""
    owners = Membership.objects.select_for_update().filter(Q(role=Role.OWNER) | Q(pk=membership.pk))
    return next(row for row in owners.order_by("id") if row.pk == membership.pk)


def _require_role_within(by: Actor, role: str) -> None:
    if not permissions_of(role) <= by.permissions:
        raise errors.RoleAboveOwn(field="role")


def _require_other_owner(membership: Membership) -> None:
    owners = Membership.objects.filter(role=Role.OWNER)
    if membership.role == Role.OWNER and not owners.exclude(pk=membership.pk).exists():
        raise errors.LastOwner(field="role")


@transaction.atomic
def create_token(
    name: str,
    scopes: list[str],
    *,
    by: Actor,
    expires_at: datetime | None = None,
) -> tuple[ApiToken, str]:
    """A new token and its text, which is shown this once. Raises `UnknownScope`, `ScopeNotHeld`, `ExpiryPast`."""
    for scope in scopes:
        if scope not in ALL:
            raise errors.UnknownScope(field="scopes", scope=scope, known=", ".join(sorted(ALL)))
        if not by.can(scope):
            raise errors.ScopeNotHeld(field="scopes", scope=scope)
    if expires_at and expires_at <= timezone.now():
        raise errors.ExpiryPast(field="expires_at")
    row = ApiToken(
        id=uuid7(),
        name=name,
        scopes=sorted(set(scopes)),
        membership=Membership.objects.get(user_id=by.user_id),
        expires_at=expires_at or timezone.now() + TOKEN_LIFETIME,
    )
    token = tokens.generate(tenancy.current_tenant_id(), row.id)
    row.secret_hash = tokens.digest(token.secret)
    row.save()
    _tell(by, "token.created", row, {"name": name, "scopes": row.scopes})
    snapshots.publish_on_commit(row.organization_id)
    return row, str(token)


@transaction.atomic
def revoke_token(token: ApiToken, *, by: Actor) -> ApiToken:
    """Stop a token in the control plane at once and in the data plane within a second."""
    revoked = ApiToken.objects.filter(pk=token.pk, revoked_at__isnull=True).update(revoked_at=Now())
    token.refresh_from_db()
    if revoked:
        _tell(by, "token.revoked", token, {"name": token.name})
        snapshots.publish_on_commit(token.organization_id)
    return token


def note_token_use(token: ApiToken, address: str) -> None:
    """Remember when and from where the token was used last, at most once a minute."""
    stale = Q(last_used_at__isnull=True) | Q(last_used_at__lt=Now() - timedelta(minutes=1))
    ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=Now(), last_used_address=address[:45])


def _tell(actor: Actor, action: str, subject: Any, changes: dict[str, Any]) -> None:
    action_taken.send(sender=type(subject), actor=actor, action=action, subject=subject, changes=changes)
