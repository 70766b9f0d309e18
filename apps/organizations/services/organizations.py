"""What people can do with an organization itself."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import TypedDict, Unpack

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from apps.accounts import mail, second_factor
from apps.accounts.models import User
from apps.core import live, snapshots, tenancy, time_zones
from apps.core.actors import Actor
from apps.core.changes import apply_changes
from apps.organizations import errors, queries
from apps.organizations.enums import Role
from apps.organizations.models import DELETION_HOLD, Membership, Organization
from apps.organizations.plans import PLANS
from apps.organizations.services.trail import tell

# Each may send invitations to strangers, so that nobody has as many as they like.
OWNED_LIMIT = 20


@transaction.atomic
def create_organization(name: str, owner: User, slug: str = "") -> Organization:
    """Found an organization with `owner` as its first owner. Raises `SlugTaken`, `TooManyOrganizations`."""
    _require_room(owner)
    name = _one_line(name)
    slug = slug or _free_slug(name)
    try:
        with transaction.atomic():
            organization = Organization.objects.create(name=name, slug=slug)
    except IntegrityError:
        raise errors.SlugTaken(field="slug", slug=slug) from None
    with tenancy.scope(organization.pk), transaction.atomic():
        membership = Membership.objects.create(user=owner, role=Role.OWNER)
        founder = Actor("user", owner.pk, owner.email, membership.permissions, owner.pk)
        tell(founder, "organization.created", organization, {"name": name, "slug": slug})
        snapshots.publish_on_commit(organization.pk)
    return organization


def _require_room(owner: User) -> None:
    User.objects.select_for_update(no_key=True).get(pk=owner.pk)  # so that foundings at one moment are counted, too
    if sum(membership.role == Role.OWNER for membership in queries.memberships_of(owner)) >= OWNED_LIMIT:
        raise errors.TooManyOrganizations(limit=OWNED_LIMIT)


def _one_line(name: str) -> str:
    # Mails tell it to strangers: a line of its own could pass for a line of ours, with a link.
    return " ".join(name.split())


def _free_slug(name: str) -> str:
    wanted = queries.slug_of(name)
    return wanted if queries.is_free(wanted) else f"{wanted}-{secrets.token_hex(3)}"


class Changes(TypedDict, total=False):
    name: str
    slug: str
    time_zone: str
    requires_second_factor: bool


@transaction.atomic
def update_organization(organization: Organization, *, by: Actor, **changes: Unpack[Changes]) -> Organization:
    """Change what is given. Raises `SlugTaken`, `UnknownTimeZone`, `SecondFactorMissing`, `PersonNeeded`."""
    organization = queries.locked_organization()
    if "name" in changes:
        changes["name"] = _one_line(changes["name"])
    told = apply_changes(organization, changes)
    if "time_zone" in told:
        time_zones.require(organization.time_zone)
    if "requires_second_factor" in told and organization.requires_second_factor:
        _require_own_second_factor(by)
    if told:
        _save(organization, list(told))
        tell(by, "organization.changed", organization, told)
    if "requires_second_factor" in told:
        _disconnect_everybody()
    if "requires_second_factor" in told and organization.requires_second_factor:
        _ask_for_second_factors(organization)
    return organization


def _ask_for_second_factors(organization: Organization) -> None:
    """A mail to each member who has none and is let in no more."""
    members = dict(Membership.objects.filter(user__is_active=True).values_list("user_id", "user__email"))
    link, zone = settings.PUBLIC_URL + reverse("mfa_index"), organization.time_zone
    for user_id in members.keys() - second_factor.holders(members):
        context = {"organization": organization, "link": link}
        mail.send("organizations/email/second_factor_required", members[user_id], context, time_zone=zone)


@transaction.atomic
def suspend_organization(organization: Organization, because: str, *, by: Actor) -> Organization:
    """Close every door of both planes to its people and tokens, until it is resumed. Replicas and data stay.

    Every owner is mailed the reason.
    """
    return _set_suspended(organization, timezone.now(), because, "organization.suspended", by)


@transaction.atomic
def resume_organization(organization: Organization, *, by: Actor) -> Organization:
    """Open the doors again. Every owner is mailed."""
    return _set_suspended(organization, None, "", "organization.resumed", by)


def _set_suspended(
    organization: Organization, at: datetime | None, because: str, action: str, by: Actor
) -> Organization:
    organization = queries.locked_organization()
    if organization.is_suspended == (at is not None):
        return organization
    organization.suspended_at, organization.suspended_because = at, because
    organization.save(update_fields=["suspended_at", "suspended_because"])
    tell(by, action, organization, {"because": because} if because else {})
    _mail_owners(f"organizations/email/{'suspended' if at else 'resumed'}", organization, by)
    _move_doors(organization)
    return organization


@transaction.atomic
def set_plan(organization: Organization, plan: str, *, by: Actor) -> Organization:
    """Give the organization another plan. Its trail is kept no longer than that allows: its owners are mailed.

    Raises `UnknownPlan`.
    """
    if plan not in PLANS:
        raise errors.UnknownPlan(plan=plan)
    organization = queries.locked_organization()
    days = min(organization.audit_retention_days, PLANS[plan].longest_trail_days)
    changes = apply_changes(organization, {"plan": plan, "audit_retention_days": days})
    if changes:
        organization.save(update_fields=list(changes))
        tell(by, "organization.plan_changed", organization, changes)
        snapshots.publish_on_commit(organization.pk)
    if "audit_retention_days" in changes:
        _mail_owners("organizations/email/trail_shortened", organization, by)
    return organization


@transaction.atomic
def request_deletion(organization: Organization, confirmation: str, *, by: Actor) -> Organization:
    """Close every door of both planes; its data is erased after 30 days unless somebody reopens it.

    Every owner is mailed. Raises `ConfirmationMismatch`.
    """
    organization = queries.locked_organization()
    if confirmation != organization.name:
        raise errors.ConfirmationMismatch(field="confirmation", name=organization.name)
    if organization.is_closed:
        return organization
    organization.deletion_requested_at = Now()
    _set_closed(organization, "organization.deletion_requested", by)
    _mail_owners("organizations/email/deletion_requested", organization, by)
    return organization


@transaction.atomic
def cancel_deletion(organization: Organization, *, by: Actor) -> Organization:
    """Open the doors again. Every owner is mailed. Raises `HoldOver` once the data may be gone."""
    organization = queries.locked_organization()
    if not organization.is_closed:
        return organization
    if queries.due_for_erasure().filter(pk=organization.pk).exists():
        raise errors.HoldOver(days=DELETION_HOLD.days)
    organization.deletion_requested_at = None
    _set_closed(organization, "organization.deletion_cancelled", by)
    _mail_owners("organizations/email/deletion_cancelled", organization, by)
    return organization


def _set_closed(organization: Organization, action: str, by: Actor) -> None:
    organization.save(update_fields=["deletion_requested_at"])
    organization.refresh_from_db(fields=["deletion_requested_at"])
    tell(by, action, organization, {})
    _move_doors(organization)


def _mail_owners(template: str, organization: Organization, by: Actor) -> None:
    link = f"{settings.PUBLIC_URL}{reverse('console:home', args=[organization.slug])}"
    context = {"organization": organization, "by": by.label, "link": link}
    for email in queries.owner_addresses():
        mail.send(template, email, context, time_zone=organization.time_zone)


def _move_doors(organization: Organization) -> None:
    """Tell the data plane, and have every open page ask again whether it is let in."""
    snapshots.publish_on_commit(organization.pk)
    _disconnect_everybody()


def _require_own_second_factor(by: Actor) -> None:
    if not second_factor.is_enabled(queries.own_membership(by).user):
        raise errors.SecondFactorMissing(field="requires_second_factor")


def _disconnect_everybody() -> None:
    """Open pages come back by themselves: those of whom the organization lets in."""
    for user_id in Membership.objects.values_list("user_id", flat=True):
        live.disconnect(user_id)


def _save(organization: Organization, columns: list[str]) -> None:
    try:
        with transaction.atomic():
            organization.save(update_fields=columns)
    except IntegrityError:
        raise errors.SlugTaken(field="slug", slug=organization.slug) from None
