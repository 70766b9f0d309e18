"""What people can do with their account and with the browsers that are signed in to it."""

from __future__ import annotations

from datetime import timedelta

import structlog
from allauth.account.models import EmailAddress
from django.db import transaction
from django.utils import timezone

from apps.accounts.enums import MailStatus
from apps.accounts.jwt import families
from apps.accounts.models import Mail, Session, User
from apps.accounts.sessions import SessionStore, key_hash
from apps.core import live, time_zones

MAIL_LIFETIME = timedelta(days=14)

log = structlog.get_logger(__name__)


@transaction.atomic
def confirm_address(user: User) -> EmailAddress:
    """Take the person's address as theirs without asking by mail: somebody who knows has said so."""
    address, _ = EmailAddress.objects.update_or_create(
        user=user, email=user.email, defaults={"verified": True, "primary": True}
    )
    return address


@transaction.atomic
def release_address(email: str, *, to: User) -> None:
    """Give a proven address to its owner: what others began with it and never proved, a sign-up or a change, ends."""
    EmailAddress.objects.filter(email=email.lower(), verified=False, primary=False).exclude(user_id=to.pk).delete()
    claims = User.objects.filter(email=email.lower(), last_login=None, is_staff=False).exclude(pk=to.pk)
    for claim in claims.exclude(emailaddress__verified=True):
        EmailAddress.objects.filter(user=claim).delete()
        claim.email, claim.is_active = f"{claim.pk}@unproven.invalid", False
        claim.save(update_fields=["email", "is_active"])
        log.info("unproven_sign_up_closed", user=str(claim.pk))


@transaction.atomic
def edit_profile(user: User, *, name: str, time_zone: str) -> User:
    """Without a time zone the person sees times in their organization's. Raises `UnknownTimeZone`."""
    user.name = name
    user.save(update_fields=["name"])
    return choose_time_zone(user, time_zone)


@transaction.atomic
def choose_time_zone(user: User, time_zone: str) -> User:
    """Set the zone in which the person sees and gives times, by its name or its place. Raises `UnknownTimeZone`."""
    user.time_zone = time_zone and time_zones.require(time_zones.named_like(time_zone))
    user.save(update_fields=["time_zone"])
    return user


@transaction.atomic
def end_session(session: Session) -> None:
    """Log one browser out: its next request is nobody's, and its open pages are told nothing more."""
    session.delete()
    _close_sockets(session.user_id, ended=1)


@transaction.atomic
def end_sessions(user: User, *, keep: str | None = None) -> int:
    """Log the person out everywhere, their programs too, or only in every browser but the session with the key `keep`.

    How many browsers were logged out.
    """
    sessions = Session.objects.filter(user=user)
    if keep:
        sessions = sessions.exclude(key_hash=key_hash(keep))
    else:
        families.revoke_families(user, because="signed_out_everywhere")
    ended, _ = sessions.delete()
    _close_sockets(user.pk, ended=ended)
    return ended


def _close_sockets(user_id: object, *, ended: int) -> None:
    log.info("sessions_ended", user=str(user_id), count=ended)
    if user_id:
        live.disconnect(user_id)


def forget_old() -> None:
    """What is over: expired sessions, and mails that were sent, kept or given up long enough ago."""
    SessionStore.clear_expired()
    old = Mail.objects.filter(created_at__lt=timezone.now() - MAIL_LIFETIME)
    old.exclude(status=MailStatus.WAITING).delete()
