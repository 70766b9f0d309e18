"""What people can do with an organization itself."""

from __future__ import annotations

import secrets

from django.db import IntegrityError, transaction
from django.utils.text import slugify

from apps.accounts.models import User
from apps.core import snapshots, tenancy
from apps.core.actors import Actor
from apps.organizations import errors
from apps.organizations.enums import Role
from apps.organizations.models import Membership, Organization
from apps.organizations.services.trail import tell


def create_organization(name: str, owner: User, slug: str = "") -> Organization:
    """Found an organization with `owner` as its first owner. Raises `SlugTaken`."""
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


def _free_slug(name: str) -> str:
    wanted = slugify(name)[:30] or "team"
    if len(wanted) > 1 and not Organization.objects.filter(slug=wanted).exists():
        return wanted
    return f"{wanted}-{secrets.token_hex(3)}"


def rename_organization(organization: Organization, name: str, *, by: Actor) -> Organization:
    before = organization.name
    organization.name = name
    organization.save(update_fields=["name"])
    tell(by, "organization.renamed", organization, {"name": [before, name]})
    return organization
