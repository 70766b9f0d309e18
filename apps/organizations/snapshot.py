"""The tokens section of the data plane's snapshot."""

from __future__ import annotations

from typing import Any

from apps.organizations.models import ApiToken


def compile_section() -> dict[str, dict[str, Any]]:
    """Usable tokens by id: digest, what they may do, when they expire (epoch seconds)."""
    return {
        str(token.pk): {
            "hash": token.secret_hash,
            "scopes": sorted(frozenset(token.scopes) & token.membership.permissions),
            "expires_at": token.expires_at.timestamp() if token.expires_at else None,
        }
        for token in ApiToken.objects.usable().select_related("membership")
    }
