"""What people can do with API tokens, and what happens when one is shown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from apps.accounts.models import User
from apps.core import agents, snapshots, tenancy, tokens
from apps.core.actors import Actor
from apps.core.changes import apply_changes
from apps.core.errors import PermissionMissing
from apps.core.ids import uuid7
from apps.organizations import errors, networks, queries
from apps.organizations.enums import TokenKind
from apps.organizations.models import ApiToken, Membership
from apps.organizations.permissions import ALL
from apps.organizations.services.trail import tell

LIFETIME = timedelta(days=90)
LONGEST_LIFETIME = timedelta(days=366)
OVERLAP = timedelta(hours=24)
LONGEST_OVERLAP = timedelta(days=7)
USE_INTERVAL = timedelta(minutes=1)
USABLE_LIMIT = 500  # all of them stand in the data plane's snapshot


@transaction.atomic
def create_token(
    name: str,
    scopes: Sequence[str],
    *,
    by: Actor,
    kind: str = TokenKind.PERSONAL,
    allowed_networks: Sequence[str] = (),
    expires_at: datetime | None = None,
) -> tuple[ApiToken, str]:
    """A new token and its text, which is shown this once; it ends after 90 days unless told otherwise.

    One that a token makes works in that one's networks and ends no later. Raises `UnknownScope`, `ScopeNotHeld`,
    `ExpiryPast`, `ExpiryTooFar`, `MembershipNeeded`, `NetworkInvalid`, `TooManyNetworks`, `NetworkNotHeld`,
    `TooManyTokens`; `PermissionMissing` for a token of the organization.
    """
    _require_scopes(scopes, by)
    _require_room()
    acting = _acting_token(by)
    latest = _latest_end(acting)
    row = ApiToken(
        id=uuid7(),
        kind=kind,
        name=name,
        scopes=sorted(set(scopes)),
        membership=_maker(kind, by),
        allowed_networks=_networks_within(allowed_networks, acting),
        expires_at=_checked_end(expires_at, latest) or min(timezone.now() + LIFETIME, latest),
    )
    text = _give_secret(row)
    row.save()
    tell(by, "token.created", row, {"name": name, "kind": str(kind), "scopes": row.scopes})
    snapshots.publish_on_commit(row.organization_id)
    return row, text


@transaction.atomic
def edit_token(token: ApiToken, name: str, allowed_networks: Sequence[str], *, by: Actor) -> ApiToken:
    """Rename a token, and say from where it may be used. Raises what `create_token` raises for these."""
    token = _locked(token)
    _require_charge(token, by)
    wanted = {"name": name, "allowed_networks": _networks_within(allowed_networks, _acting_token(by))}
    if changes := apply_changes(token, wanted):
        token.save(update_fields=list(changes))
        tell(by, "token.edited", token, changes)
        snapshots.publish_on_commit(token.organization_id)
    return token


@transaction.atomic
def rotate_token(
    token: ApiToken, *, by: Actor, overlap: timedelta = OVERLAP, expires_at: datetime | None = None
) -> tuple[ApiToken, str]:
    """Give the token a new secret, shown this once; the one before works until `overlap` is over, an older one no more.

    Whoever rotates learns the secret, so they must hold all that the token may do, and a personal token is rotated by
    its person only. Raises `NotItsPerson`, `PermissionMissing`, `ScopeNotHeld`, `TokenEnded`, `ExpiryPast`,
    `ExpiryTooFar`.
    """
    token = _locked(token)
    _require_right_to_secret(token, by)
    if token.status != "active":
        raise errors.TokenEnded(status=token.status)
    token.previous_hash = token.secret_hash if overlap else ""
    token.previous_expires_at = timezone.now() + overlap if overlap else None
    token.expires_at = _checked_end(expires_at, _latest_end(_acting_token(by))) or token.expires_at
    text = _give_secret(token)
    token.save(update_fields=["secret_hash", "previous_hash", "previous_expires_at", "expires_at"])
    tell(by, "token.rotated", token, {"name": token.name, "overlap_hours": overlap // timedelta(hours=1)})
    snapshots.publish_on_commit(token.organization_id)
    return token, text


@transaction.atomic
def revoke_token(token: ApiToken, *, by: Actor) -> ApiToken:
    """Stop a token, both its secrets, in the control plane at once and in the data plane within a second."""
    token = _locked(token)
    _require_charge(token, by)
    if token.revoked_at is None:
        token.revoked_at = timezone.now()
        token.save(update_fields=["revoked_at"])
        tell(by, "token.revoked", token, {"name": token.name})
        snapshots.publish_on_commit(token.organization_id)
    return token


def publish_tokens_of(user: User) -> None:
    """Tell the data plane whether the person is still active, wherever they are a member."""
    for membership in queries.memberships_of(user):
        snapshots.publish_on_commit(membership.organization_id)


def admit_token(text: str, *, address: str, agent: str, even_closed: bool = False) -> ApiToken:
    """The usable token behind its text, its use noted.

    Raises `NotAuthenticated`, `AddressNotAllowed`, `OrganizationSuspended`, `OrganizationClosed` (not `even_closed`).
    """
    token = queries.token_for(text)
    queries.require_active(token.organization, even_closed=even_closed)
    if token.allowed_networks and not networks.contain(tuple(token.allowed_networks), address):
        raise errors.AddressNotAllowed(address=address)
    with tenancy.scope(token.organization_id):
        _renew_digest(token, text)
        _note_use(token, address, agent)
    return token


def _give_secret(token: ApiToken) -> str:
    """Put a new secret's digest into the row; the text that holds the secret."""
    text = tokens.generate(tenancy.current_tenant_id(), token.id)
    token.secret_hash = tokens.digest(text.secret)
    return str(text)


def _locked(token: ApiToken) -> ApiToken:
    rows = ApiToken.objects.select_for_update(of=("self",)).select_related("membership__user")
    return rows.get(pk=token.pk)


def _maker(kind: str, by: Actor) -> Membership | None:
    if kind == TokenKind.ORGANIZATION:
        by.require("organization_tokens.write")
    # Locked, so that somebody who is removed at this moment gets a refusal or takes the token along.
    maker = Membership.objects.select_for_update(no_key=True).filter(user_id=by.user_id).first()
    if maker is None and kind == TokenKind.PERSONAL:
        raise errors.MembershipNeeded(field="kind")
    return maker


def _require_scopes(scopes: Sequence[str], by: Actor) -> None:
    for scope in scopes:
        if scope not in ALL:
            raise errors.UnknownScope(field="scopes", scope=scope, known=", ".join(sorted(ALL)))
        if not by.can(scope):
            raise errors.ScopeNotHeld(field="scopes", scope=scope)


def _require_room() -> None:
    queries.locked_organization()  # so that tokens made at the same moment are all counted
    if ApiToken.objects.usable().count() >= USABLE_LIMIT:
        raise errors.TooManyTokens(limit=USABLE_LIMIT)


def _acting_token(by: Actor) -> ApiToken | None:
    return ApiToken.objects.get(pk=by.id) if by.kind == "token" else None


def _latest_end(acting: ApiToken | None) -> datetime:
    """When a token made now has to end: after the longest life, or with the token that acts."""
    longest = timezone.now() + LONGEST_LIFETIME
    return min(acting.expires_at or longest, longest) if acting else longest


def _checked_end(expires_at: datetime | None, latest: datetime) -> datetime | None:
    if expires_at and expires_at <= timezone.now():
        raise errors.ExpiryPast(field="expires_at")
    if expires_at and expires_at > latest:
        raise errors.ExpiryTooFar(field="expires_at", days=LONGEST_LIFETIME.days)
    return expires_at


def _networks_within(texts: Sequence[str], acting: ApiToken | None) -> list[str]:
    """The networks asked for; where a token acts that is bound to some, these or parts of them."""
    wanted = networks.normalised(texts)
    if acting is None or not acting.allowed_networks:
        return wanted
    if not networks.cover(acting.allowed_networks, wanted):
        raise errors.NetworkNotHeld(field="allowed_networks")
    return wanted or acting.allowed_networks


def _require_charge(token: ApiToken, by: Actor) -> None:
    if not queries.is_in_charge_of(by, token):
        raise PermissionMissing(permission="organization_tokens.write")


def _require_right_to_secret(token: ApiToken, by: Actor) -> None:
    _require_charge(token, by)
    for scope in sorted(token.permissions - by.permissions):
        raise errors.ScopeNotHeld(scope=scope)
    if not queries.may_learn_secret(by, token):
        raise errors.NotItsPerson


def _renew_digest(token: ApiToken, text: str) -> None:
    """Once the pepper was changed, keep the secret's digest under the new one."""
    shown = tokens.parse(text)
    if shown is None or tokens.is_current(token.secret_hash) or not tokens.matches(shown.secret, token.secret_hash):
        return
    same = ApiToken.objects.filter(pk=token.pk, secret_hash=token.secret_hash)
    if same.update(secret_hash=tokens.digest(shown.secret)):
        snapshots.publish_on_commit(token.organization_id)


def _note_use(token: ApiToken, address: str, agent: str) -> None:
    """Remember the token's last use, at most once a minute. The data plane's uses come by `workers/sink`."""
    stale = Q(last_used_at__isnull=True) | Q(last_used_at__lte=Now() - USE_INTERVAL)
    ApiToken.objects.filter(stale, pk=token.pk).update(
        last_used_at=Now(), last_used_address=address[:45], last_used_agent=agents.kept(agent)
    )
