"""Invitations: the only way into an organization."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Sum
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from apps.accounts import mail
from apps.accounts.models import User
from apps.core import live, tenancy, tokens
from apps.core.actors import Actor
from apps.core.errors import NotFound
from apps.core.ids import uuid7
from apps.organizations import errors, invitations, queries
from apps.organizations.enums import InvitationStatus
from apps.organizations.models import Invitation, Membership
from apps.organizations.services.members import require_role_within
from apps.organizations.services.trail import tell

LIFETIME = timedelta(days=7)
OPEN_LIMIT = 50
MAILS_PER_HOUR = 4


@transaction.atomic
def invite_member(email: str, role: str, *, by: Actor) -> Invitation:
    """Mail a link that makes its reader a member. What is told is the same whether or not they have an account.

    Raises `RoleAboveOwn`, `MemberExists`, `InvitationPending`, `TooManyInvitations`, `InvitedTooOften`, `PersonNeeded`.
    """
    email, inviter = email.lower(), queries.own_membership(by)
    require_role_within(by, role)
    queries.locked_organization()  # so that limits hold for invitations sent at the same moment
    _require_stranger(email)
    _require_room()
    _require_mail_allowance(email)
    row = Invitation(id=uuid7(), email=email, role=role, invited_by=inviter, sent_count=0)
    _send(row)
    tell(by, "invitation.sent", row, {"email": email, "role": role})
    return row


@transaction.atomic
def resend_invitation(invitation: Invitation, *, by: Actor) -> Invitation:
    """Mail a new link, for which whoever sends it now answers; the old one stops working.

    Raises `RoleAboveOwn`, `InvitationUsed`, `InvitationRevoked`, `InvitedTooOften`, `PersonNeeded`.
    """
    queries.locked_organization()  # so that limits hold for invitations sent at the same moment
    row = _locked(invitation.pk)
    require_role_within(by, row.role)
    _require_pending(row)
    _require_mail_allowance(row.email)
    row.invited_by = queries.own_membership(by)
    _send(row)
    tell(by, "invitation.resent", row, {"email": row.email})
    return row


@transaction.atomic
def revoke_invitation(invitation: Invitation, *, by: Actor) -> Invitation:
    """Take an invitation back; once more changes nothing. Raises `RoleAboveOwn`, `InvitationUsed`."""
    row = _locked(invitation.pk)
    require_role_within(by, row.role)
    if row.status == InvitationStatus.ACCEPTED:
        raise errors.InvitationUsed
    if row.revoked_at is None:
        row.revoked_at = timezone.now()
        row.save(update_fields=["revoked_at"])
        tell(by, "invitation.revoked", row, {"email": row.email})
        live.publish("members")
    return row


def accept_invitation(text: str, user: User, *, by: Actor) -> Membership:
    """Make `user` a member by the link's token. Of acceptances at the same moment one wins.

    Raises `InvitationNotOpen` in each of its forms, and `InvitationForAnother`.
    """
    with tenancy.scope(invitations.organization_of(text)), transaction.atomic():
        row = invitations.opened_by(text, Invitation.objects.select_for_update(of=("self",)))
        invitations.require_acceptable(row, user)
        membership = _join(row, user)
        row.accepted_at = timezone.now()
        row.save(update_fields=["accepted_at"])
        tell(by, "invitation.accepted", row, {"email": row.email, "role": row.role})
        live.publish("members")
    return membership


def _join(invitation: Invitation, user: User) -> Membership:
    try:
        with transaction.atomic():
            return Membership.objects.create(user=user, role=invitation.role)
    except IntegrityError:  # another invitation of the same person was accepted at this moment
        raise errors.AlreadyMember from None


def _locked(invitation_id: UUID) -> Invitation:
    row = Invitation.objects.select_for_update(of=("self",)).filter(pk=invitation_id).first()
    if row is None:
        raise NotFound
    return row


def _require_stranger(email: str) -> None:
    if Membership.objects.filter(user__email=email).exists():
        raise errors.MemberExists(field="email", email=email)
    if Invitation.objects.in_status(InvitationStatus.OPEN).filter(email=email).exists():
        raise errors.InvitationPending(field="email", email=email)
    # An expired one would stand in the way of the new one.
    Invitation.objects.pending().filter(email=email).update(revoked_at=Now())


def _require_room() -> None:
    # What was revoked counts for a day, so that revoking does not make room for mails without end.
    recent = Invitation.objects.filter(accepted_at__isnull=True, revoked_at__gt=Now() - timedelta(days=1))
    if (Invitation.objects.in_status(InvitationStatus.OPEN) | recent).count() >= OPEN_LIMIT:
        raise errors.TooManyInvitations(limit=OPEN_LIMIT)


def _require_mail_allowance(email: str) -> None:
    recent = Invitation.objects.filter(email=email, sent_at__gt=Now() - timedelta(hours=1))
    if (recent.aggregate(sum=Sum("sent_count"))["sum"] or 0) >= MAILS_PER_HOUR:
        raise errors.InvitedTooOften(field="email", email=email, limit=MAILS_PER_HOUR)


def _require_pending(invitation: Invitation) -> None:
    if invitation.accepted_at:
        raise errors.InvitationUsed
    if invitation.revoked_at:
        raise errors.InvitationRevoked


def _send(invitation: Invitation) -> None:
    """Give the row a new secret and a new week, and mail the link once that is certain."""
    token = tokens.generate(tenancy.current_tenant_id(), invitation.pk)
    invitation.secret_hash = tokens.digest(token.secret)
    invitation.sent_at = timezone.now()
    invitation.sent_count += 1
    invitation.expires_at = invitation.sent_at + LIFETIME
    invitation.save()
    link = settings.PUBLIC_URL + reverse("invitations:invitation-open", args=[token])
    mail.send(
        "organizations/email/invitation",
        invitation.email,
        {"invitation": invitation, "link": link},
        time_zone=invitation.organization.time_zone,
    )
    live.publish("members")
