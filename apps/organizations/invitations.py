"""Who may use the link of an invitation, and why not."""

from __future__ import annotations

from uuid import UUID

from allauth.account.models import EmailAddress
from django.db.models import QuerySet

from apps.accounts.models import User
from apps.core import tenancy, tokens
from apps.organizations import errors
from apps.organizations.enums import InvitationStatus
from apps.organizations.models import Invitation, Membership
from apps.organizations.permissions import permissions_of


def shown(text: str) -> Invitation:
    """The open invitation behind the token of a link, to be shown. Raises `InvitationNotOpen` in each of its forms."""
    with tenancy.scope(organization_of(text)):
        return opened_by(text, Invitation.objects.all())


def organization_of(text: str) -> UUID:
    """The organization that the token of a link names."""
    parsed = tokens.parse(text)
    if parsed is None:
        raise errors.InvitationNotValid
    return UUID(parsed.organization_id)


def opened_by(text: str, rows: QuerySet[Invitation]) -> Invitation:
    """The invitation among `rows` of the tenant in scope that the token opens.

    Why it is not open is told to nobody but the holder of its secret.
    """
    parsed = tokens.parse(text)
    related = rows.select_related("organization", "invited_by__user")
    row = related.filter(pk=parsed.token_id).first() if parsed else None
    if parsed is None or row is None or not tokens.matches(parsed.secret, row.secret_hash):
        raise errors.InvitationNotValid
    _require_open(row)
    if not row.organization.is_active:
        raise errors.InvitationWaits
    _require_inviter(row)
    return row


def require_acceptable(invitation: Invitation, user: User) -> None:
    """Raises `InvitationForAnother` unless the person has verified the address, and `AlreadyMember`."""
    # Both are in small letters. PostgreSQL's own comparison without case takes a dotless i for an i.
    if not EmailAddress.objects.filter(user=user, email=invitation.email, verified=True).exists():
        raise errors.InvitationForAnother
    with tenancy.scope(invitation.organization_id):
        if Membership.objects.filter(user=user).exists():
            raise errors.AlreadyMember


def _require_open(invitation: Invitation) -> None:
    match invitation.status:
        case InvitationStatus.ACCEPTED:
            raise errors.InvitationUsed
        case InvitationStatus.REVOKED:
            raise errors.InvitationRevoked
        case InvitationStatus.EXPIRED:
            raise errors.InvitationExpired


def _require_inviter(invitation: Invitation) -> None:
    """Whoever invited must still be there and be able to give the role."""
    inviter = invitation.invited_by
    if inviter is None or not inviter.user.is_active:
        raise errors.InviterLost
    if "members.write" not in inviter.permissions or not permissions_of(invitation.role) <= inviter.permissions:
        raise errors.InviterLost
