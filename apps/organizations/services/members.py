"""What people can do with members and their roles."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Q

from apps.accounts.models import User
from apps.core import snapshots
from apps.core.actors import Actor
from apps.organizations import errors
from apps.organizations.enums import Role
from apps.organizations.models import Membership
from apps.organizations.permissions import permissions_of
from apps.organizations.services.trail import tell


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
    tell(by, "member.added", membership, {"email": user.email, "role": role})
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
    tell(by, "member.role_changed", membership, {"role": [before, role]})
    snapshots.publish_on_commit(membership.organization_id)
    return membership


@transaction.atomic
def remove_member(membership: Membership, *, by: Actor) -> None:
    """Their tokens stop with them. Raises `RoleAboveOwn`, `LastOwner`."""
    membership = _locked(membership)
    _require_role_within(by, membership.role)
    _require_other_owner(membership)
    tell(by, "member.removed", membership, {"email": membership.user.email, "role": membership.role})
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
