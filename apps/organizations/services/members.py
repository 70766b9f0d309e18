"""What people can do with members and their roles."""

from __future__ import annotations

from dataclasses import replace

from django.conf import settings
from django.db import transaction
from django.urls import reverse

from apps.accounts import mail
from apps.accounts.jwt import families
from apps.core import live, snapshots, tenancy
from apps.core.actors import Actor
from apps.core.errors import PermissionMissing
from apps.organizations import errors, queries
from apps.organizations.enums import Role
from apps.organizations.models import Membership
from apps.organizations.permissions import ROLES, permissions_of
from apps.organizations.services.trail import tell


@transaction.atomic
def change_role(membership: Membership, role: str, *, by: Actor) -> Membership:
    """Raises `RoleAboveOwn`, `LastOwner`."""
    membership = queries.locked_memberships(membership.pk)[membership.pk]
    require_role_within(by, role)
    require_role_within(by, membership.role)
    if role != Role.OWNER:
        _require_other_owner(membership)
    return _with_role(membership, role, by)


@transaction.atomic
def remove_member(membership: Membership, *, by: Actor) -> None:
    """Take away a membership, and with it the person's tokens here. Raises `RoleAboveOwn`, `LastOwner`."""
    membership = queries.locked_memberships(membership.pk)[membership.pk]
    require_role_within(by, membership.role)
    _end(membership, "member.removed", by)


@transaction.atomic
def leave_organization(*, by: Actor) -> None:
    """End one's own membership. Raises `LastOwner`, `PersonNeeded`."""
    own = queries.own_membership(by)
    _end(queries.locked_memberships(own.pk)[own.pk], "member.left", by)


def leave_from_outside(membership: Membership, *, by: Actor) -> None:
    """End the person's membership in an organization that is not open. Raises `LastOwner`."""
    with tenancy.scope(membership.organization_id):
        leave_organization(by=replace(by, permissions=membership.permissions))


@transaction.atomic
def transfer_ownership(membership: Membership, *, by: Actor) -> Membership:
    """Make another member an owner and its present one an admin.

    Raises `AlreadyYours`, `HeirInactive`, `PersonNeeded`.
    """
    own = queries.own_membership(by)
    rows = queries.locked_memberships(own.pk, membership.pk)
    own, heir = rows[own.pk], rows[membership.pk]
    if own.role != Role.OWNER:
        raise PermissionMissing(permission="organization.transfer")
    if heir.pk == own.pk:
        raise errors.AlreadyYours(field="member")
    if not heir.user.is_active:
        raise errors.HeirInactive(field="member")
    tell(by, "organization.transferred", heir.organization, {"owner": [own.user.email, heir.user.email]})
    heir = _with_role(heir, Role.OWNER, by)
    _with_role(own, Role.ADMIN, by)
    return heir


def require_role_within(by: Actor, role: str) -> None:
    """Nobody gives or takes a role that can do more than they may. The operator, who has none, stands above."""
    if by.kind != "operator" and not permissions_of(role) <= by.permissions:
        raise errors.RoleAboveOwn(field="role")


def _require_other_owner(membership: Membership) -> None:
    if queries.is_only_owner(membership):
        raise errors.LastOwner(field="role")


def _with_role(membership: Membership, role: str, by: Actor) -> Membership:
    before, membership.role = membership.role, role
    membership.save(update_fields=["role"])
    tell(by, "member.role_changed", membership, {"email": membership.user.email, "role": [before, role]})
    _show_everywhere(membership)
    if membership.user_id != by.user_id:
        _tell_by_mail(membership, by)
    return membership


def _tell_by_mail(membership: Membership, by: Actor) -> None:
    words = ROLES[Role(membership.role)]
    link = f"{settings.PUBLIC_URL}{reverse('console:home', args=[membership.organization.slug])}"
    context = {"membership": membership, "by": by.label, "words": words, "link": link}
    zone = membership.organization.time_zone
    mail.send("organizations/email/role_changed", membership.user.email, context, time_zone=zone)


def _end(membership: Membership, action: str, by: Actor) -> None:
    _require_other_owner(membership)
    tell(by, action, membership, {"email": membership.user.email, "role": membership.role})
    membership.delete()
    families.revoke_families(membership.user, because="membership_ended")
    _show_everywhere(membership)


def _show_everywhere(membership: Membership) -> None:
    """To the data plane, to the pages of others, and to the person's own open pages."""
    snapshots.publish_on_commit(membership.organization_id)
    live.publish("members")
    live.disconnect(membership.user_id)
