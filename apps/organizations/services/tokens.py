"""What people can do with API tokens."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from apps.core import snapshots, tenancy, tokens
from apps.core.actors import Actor
from apps.core.ids import uuid7
from apps.organizations import errors
from apps.organizations.models import ApiToken, Membership
from apps.organizations.permissions import ALL
from apps.organizations.services.trail import tell

TOKEN_LIFETIME = timedelta(days=90)


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
    tell(by, "token.created", row, {"name": name, "scopes": row.scopes})
    snapshots.publish_on_commit(row.organization_id)
    return row, str(token)


@transaction.atomic
def revoke_token(token: ApiToken, *, by: Actor) -> ApiToken:
    """Stop a token in the control plane at once and in the data plane within a second."""
    revoked = ApiToken.objects.filter(pk=token.pk, revoked_at__isnull=True).update(revoked_at=Now())
    token.refresh_from_db()
    if revoked:
        tell(by, "token.revoked", token, {"name": token.name})
        snapshots.publish_on_commit(token.organization_id)
    return token


def note_token_use(token: ApiToken, address: str) -> None:
    """Remember when and from where the token was used last, at most once a minute."""
    stale = Q(last_used_at__isnull=True) | Q(last_used_at__lt=Now() - timedelta(minutes=1))
    ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=Now(), last_used_address=address[:45])
