"""The people and organizations of a new installation, and the file that tells their logins."""

from __future__ import annotations

import json
import secrets
import shlex
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from apps.accounts import services as accounts
from apps.accounts.models import User
from apps.core import tenancy
from apps.core.actors import Actor
from apps.organizations import services
from apps.organizations.models import Membership, Organization
from apps.organizations.permissions import permissions_of

TOKEN_DAYS = 90
ACME = {"owner": "owner", "developer": "developer", "analyst": "analyst"}
GLOBEX = {"outsider": "owner"}


def create() -> dict[str, Any]:
    """The operator, `acme` and `globex`, with passwords and tokens that are told once, here."""
    operator = _person("operator@modelyard.test")
    User.objects.filter(email=operator["email"]).update(is_staff=True, is_superuser=True)
    return {
        "url": settings.PUBLIC_URL,
        "operator": operator,
        "acme": _organization("Acme", "acme", ACME),
        "globex": _organization("Globex", "globex", GLOBEX),
    }


def _organization(name: str, slug: str, people: dict[str, str]) -> dict[str, Any]:
    logins = {person: _person(f"{person}@{slug}.test") for person in people}
    users = {person: User.objects.get(email=login["email"]) for person, login in logins.items()}
    organization = Organization.objects.filter(slug=slug).first()
    if organization is None:
        founder = next(user for person, user in users.items() if people[person] == "owner")
        organization = services.create_organization(name, founder, slug=slug)
    with tenancy.scope(organization.pk):
        for person, role in people.items():
            Membership.objects.get_or_create(user=users[person], defaults={"role": role})
        tokens = {person: _token(users[person], role) for person, role in people.items()}
    return {"slug": slug, "users": logins, "token": tokens}


def _person(email: str) -> dict[str, str]:
    """A person with a new password; one that is there already gets a new one too."""
    password = secrets.token_urlsafe(12)
    user = User.objects.filter(email=email).first() or User.objects.create_user(email)
    user.set_password(password)
    user.save()
    accounts.confirm_address(user)
    return {"email": email, "password": password}


def _token(user: User, role: str) -> str:
    permissions = permissions_of(role)
    by = Actor("user", user.pk, user.email, permissions, user.pk)
    # An analyst's role cannot make tokens; the installation makes this one for it.
    expires_at = timezone.now() + timedelta(days=TOKEN_DAYS)
    return services.create_token(f"Sample token of {role}", sorted(permissions), by=by, expires_at=expires_at)[1]


def curl(url: str, token: str, path: str, request: dict[str, Any]) -> str:
    """A call that can be pasted into a terminal."""
    body = shlex.quote(json.dumps(request))
    return f"curl -s {url}{path} -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' -d {body}"


def write(sample: dict[str, Any], path: Path) -> None:
    """Keep the logins where only this account can read them."""
    temporary = path.with_suffix(".tmp")
    temporary.touch(mode=0o600)
    temporary.write_text(json.dumps(sample, indent=2))
    temporary.replace(path)
