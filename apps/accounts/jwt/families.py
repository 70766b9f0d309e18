"""Refresh families: each sign-in of a program is a chain of refresh tokens of which only the last one is valid.

A token that comes back after it was used is in two hands, so it ends its family (RFC 9700, 4.14.2). A family also ends
with a new password, because it remembers what Django's sessions are bound to.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings

from apps.accounts.jwt import errors
from apps.accounts.jwt.tokens import FAMILY_CLAIM, AccessToken, RefreshToken
from apps.accounts.models import RefreshFamily, User

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pair:
    """What a program gets: a token for calls, one for the next pair, and how many seconds the first one lasts."""

    access: str
    refresh: str
    expires_in: int
    token_type: str = "Bearer"  # noqa: S105 - a scheme (RFC 6750)


@transaction.atomic
def start_family(user: User, *, address: str = "", agent: str = "") -> Pair:
    """The first pair for somebody who has just proved who they are."""
    now = timezone.now()
    family = RefreshFamily(
        user=user,
        auth_hash=user.get_session_auth_hash(),
        last_used_at=now,
        expires_at=now + api_settings.REFRESH_TOKEN_LIFETIME,
    )
    log.info("refresh_family.started", family=str(family.pk), user=str(user.pk), address=address)
    return _next_pair(family, address, agent)


def rotate(text: str, *, address: str = "", agent: str = "") -> Pair:
    """The next pair for the family's current refresh token. Raises `RefreshTokenInvalid`, `RefreshTokenReused`."""
    token = _refresh_token(text)
    with transaction.atomic():
        family = _living_family(token, RefreshFamily.objects.select_for_update(of=("self",)))
        if family is None:
            raise errors.RefreshTokenInvalid
        if family.current_jti == token["jti"]:
            return _next_pair(family, address, agent)
        revoke_family(family, "reuse")
    log.warning("refresh_token.reused", family=str(family.pk), user=str(family.user_id), address=address)
    raise errors.RefreshTokenReused


def sign_out(text: str) -> None:
    """End the family of a refresh token. Whoever sends anything else has nothing that could be ended."""
    try:
        token = _refresh_token(text)
    except errors.RefreshTokenInvalid:
        return
    family = _living_family(token, RefreshFamily.objects.all())
    if family is not None:
        revoke_family(family, "signed_out")


def revoke_family(family: RefreshFamily, because: str) -> None:
    """End one family: its refresh tokens at once, its access tokens with the next request."""
    _revoke(RefreshFamily.objects.filter(pk=family.pk), because)


def revoke_families(user: User, because: str) -> int:
    """End all of a person's families, and say how many there were."""
    return _revoke(RefreshFamily.objects.filter(user=user), because)


def families_of(user: User) -> QuerySet[RefreshFamily]:
    """The person's living families, the one used last first."""
    living = RefreshFamily.objects.filter(_lives(), user=user, auth_hash=user.get_session_auth_hash())
    return living.order_by("-last_used_at")


def person_behind(text: str) -> User:
    """Who holds an access token whose family lives, at the price of one query. Raises `AccessTokenInvalid`."""
    try:
        token = AccessToken(text)  # type: ignore[arg-type]
    except TokenError:
        raise errors.AccessTokenInvalid from None
    family = _living_family(token, RefreshFamily.objects.all())
    if family is None:
        raise errors.AccessTokenInvalid
    return family.user


def family_named_by(text: str) -> str | None:
    """The id of the family that a refresh token of ours belongs to, whether it still lives or not."""
    try:
        return str(_refresh_token(text)[FAMILY_CLAIM])
    except errors.RefreshTokenInvalid:
        return None


def forget_ended() -> int:
    """Delete the families that no token can belong to any more."""
    return RefreshFamily.objects.filter(expires_at__lt=Now()).delete()[0]


def _refresh_token(text: str) -> RefreshToken:
    try:
        return RefreshToken(text)  # type: ignore[arg-type]
    except TokenError:
        raise errors.RefreshTokenInvalid from None


def _lives() -> Q:
    return Q(revoked_at__isnull=True, expires_at__gt=Now(), user__is_active=True)


def _living_family(token: AccessToken | RefreshToken, rows: QuerySet[RefreshFamily]) -> RefreshFamily | None:
    named = rows.select_related("user").filter(pk=token[FAMILY_CLAIM], user_id=token[api_settings.USER_ID_CLAIM])
    family = named.filter(_lives()).first()
    is_bound = family is not None and family.auth_hash == family.user.get_session_auth_hash()
    return family if is_bound else None


def _next_pair(family: RefreshFamily, address: str, agent: str) -> Pair:
    refresh = RefreshToken.for_user(family.user)
    refresh[FAMILY_CLAIM] = str(family.pk)
    refresh["exp"] = int(family.expires_at.timestamp())
    access = refresh.access_token
    access["exp"] = min(access["exp"], refresh["exp"])
    family.current_jti, family.last_used_at = refresh["jti"], timezone.now()
    family.address, family.agent = address[:45], agent[:200]
    family.save()
    return Pair(str(access), str(refresh), access["exp"] - access["iat"])


def _revoke(families: QuerySet[RefreshFamily], because: str) -> int:
    count = families.filter(revoked_at__isnull=True).update(revoked_at=Now(), revoked_because=because)
    if count:
        log.info("refresh_family.revoked", because=because, count=count)
    return count
