"""Operators who look at an organization as one of its people; their browser's session says by which `ActingSession`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.utils import timezone

from apps.accounts.models import User
from apps.core import tenancy
from apps.core.actors import Actor
from apps.core.http import Request, actor_for_operator
from apps.organizations import errors
from apps.organizations.models import ActingSession

KEY = "acting"
SAFE_METHODS = frozenset({"GET", "HEAD"})


def remembered(session: ActingSession) -> dict[str, str]:
    """What the operator's browser session holds under KEY."""
    return {"organization": str(session.organization_id), "slug": session.organization.slug, "id": str(session.pk)}


def of_browser(browser: Mapping[str, Any], user: User) -> ActingSession | None:
    """The acting session that this browser of this operator holds, whether it still lasts or not."""
    held = browser.get(KEY)
    if not held or not user.is_active or not user.is_staff:
        return None
    with tenancy.scope(UUID(held["organization"])):
        rows = ActingSession.objects.select_related("organization", "membership__user", "membership__organization")
        return rows.filter(pk=held["id"], operator_id=user.pk).first()


def lasting(browser: Mapping[str, Any], user: User, slug: str) -> ActingSession | None:
    """The one in force in the organization at `slug`. Raises `ActingEnded` for one that is over."""
    if browser.get(KEY, {}).get("slug") != slug:
        return None
    session = of_browser(browser, user)
    if session and (session.ended_at or session.ends_at <= timezone.now() or session.membership is None):
        raise errors.ActingEnded(person=session.person_label)
    return session


def actor(session: ActingSession, request: Request) -> Actor:
    """The operator with what the person may read, under both names. Raises `ActingReadOnly`."""
    if request.method not in SAFE_METHODS:
        raise errors.ActingReadOnly(person=session.person_label)
    person = as_person(actor_for_operator(request.user, request), session)
    role = session.membership.permissions if session.membership else frozenset()
    return replace(person, permissions=frozenset(permission for permission in role if permission.endswith(".read")))


def as_person(by: Actor, session: ActingSession) -> Actor:
    """The person as whom an operator looks, with the operator's name behind theirs."""
    user_id = session.membership.user_id if session.membership else None
    return replace(
        by,
        kind="user",
        id=user_id,
        label=session.person_label,
        user_id=user_id,
        operator_id=by.id,
        operator_label=by.label,
    )
