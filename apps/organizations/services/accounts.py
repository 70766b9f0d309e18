"""Ending an account, which ends the person's memberships first."""

from __future__ import annotations

from django.db import transaction

from apps.accounts import mail, services
from apps.accounts.models import User
from apps.core import tenancy
from apps.core.actors import Actor
from apps.organizations import errors, queries
from apps.organizations.services.members import leave_from_outside


@transaction.atomic
def delete_account(user: User, *, by: Actor) -> None:
    """Leave every organization and delete the person with all that signs them in. Raises `OnlyOwner`."""
    if kept := queries.owned_alone(user):
        raise errors.OnlyOwner(organizations=", ".join(organization.name for organization in kept))
    for membership in queries.memberships_of(user):
        leave_from_outside(membership, by=by)
    services.end_sessions(user)
    mail.send("organizations/email/goodbye", user.email, {})
    with tenancy.principal(user.pk):  # deleting looks for what names the person, in every organization
        user.delete()
