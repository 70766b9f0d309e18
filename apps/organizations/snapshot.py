"""What the data plane knows of an organization and its tokens."""

from __future__ import annotations

from typing import Any

from apps.core import snapshots
from apps.core.tenancy import current_tenant_id
from apps.organizations.models import ApiToken, Organization


def compile_organization() -> dict[str, str]:
    """Why its calls are refused; nothing while they are not. Raises `snapshots.Gone`."""
    organization = Organization.objects.filter(pk=current_tenant_id()).first()
    if organization is None:
        raise snapshots.Gone
    told = {"suspended_because": organization.suspended_because} if organization.is_suspended else {}
    return told | ({"closed_until": organization.erased_after.date().isoformat()} if organization.erased_after else {})


def compile_section() -> dict[str, dict[str, Any]]:
    """Usable tokens by id: digests, what they may do, from where, and until when (epoch seconds)."""
    usable = ApiToken.objects.usable().with_overlap().select_related("membership")
    return {str(token.pk): _entry(token) for token in usable}


def _entry(token: Any) -> dict[str, Any]:
    return {
        "hash": token.secret_hash,
        "scopes": sorted(token.permissions),
        "expires_at": token.expires_at.timestamp() if token.expires_at else None,
        "networks": token.allowed_networks,
        "user": str(token.membership.user_id) if token.membership else None,
        "previous": _previous(token) if token.is_overlapping else None,
    }


def _previous(token: Any) -> dict[str, Any]:
    return {"hash": token.previous_hash, "expires_at": token.previous_expires_at.timestamp()}
