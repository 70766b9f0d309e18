"""Passes for our own pages and work, so that they call models through the same door as everybody."""

from __future__ import annotations

import time

from apps.core import passes
from apps.core.actors import Actor
from apps.core.tenancy import current_tenant_id


def issue_pass(*permissions: str, source: str, by: Actor) -> str:
    """A bearer for the data plane that is valid for a minute and may do `permissions` of the organization in scope.

    Raises `PermissionMissing` for what `by` may not do.
    """
    for permission in permissions:
        by.require(permission)
    user_id = str(by.user_id) if by.user_id else None
    return passes.issue(str(current_tenant_id()), user_id, permissions, source=source, now=time.time())
