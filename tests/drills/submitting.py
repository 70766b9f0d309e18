"""What drills do by the application's own services."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now
from django.utils.dateparse import parse_datetime

from apps.accounts.models import User
from apps.core import tenancy
from apps.core.actors import Actor
from apps.jobs import kinds
from apps.jobs import services as jobs
from apps.jobs.models import Job
from apps.jobs.services import Wishes
from apps.notifications.services import webhooks
from apps.organizations import services
from apps.organizations.models import Membership
from apps.organizations.permissions import ROLE_PERMISSIONS
from tests.factories.people import UserFactory


def organization(name: str) -> dict[str, str]:
    """A new one with an owner, a token, and an endpoint that hears of everything. Nobody delivers to it."""
    owner = UserFactory(email=f"owner@{name}.test")
    made = services.create_organization(name, owner, slug=name)
    with tenancy.scope(made.pk):
        _, token = services.create_token("drill", sorted(ROLE_PERMISSIONS["owner"]), by=_actor(owner))
        webhooks.create_endpoint("https://hooks.example.com/", by=_actor(owner))
    return {"id": str(made.pk), "token": token}


def submit(organization: str, asked: list[dict[str, Any]]) -> list[str]:
    """All of them, or none."""
    with tenancy.scope(UUID(organization)), transaction.atomic():
        by = _owner()
        return [_submit(by, **one) for one in asked]


def _submit(by: Actor, kind: str, input: dict[str, Any], wishes: dict[str, Any]) -> str:
    if "run_at" in wishes:
        wishes["run_at"] = parse_datetime(wishes["run_at"])
    wishes["depends_on"] = [UUID(needed) for needed in wishes.get("depends_on", [])]
    return str(jobs.submit_job(kind, input, by=by, label=kind, wishes=Wishes(**wishes)).pk)


def pile(organization: str, kind: str, count: int) -> list[str]:
    """So many jobs of a kind, ready to run, in less time than it takes to submit them."""
    with tenancy.scope(UUID(organization)):
        by, queue = _owner(), kinds.ours(kind).queue
        rows = [
            Job(kind=kind, queue=queue, label=kind, ready_at=Now(), created_by_id=by.id, created_by_label=by.label)
            for _ in range(count)
        ]
        return [str(row.pk) for row in Job.objects.bulk_create(rows)]


def cancel(organization: str, meant: list[str]) -> None:
    with tenancy.scope(UUID(organization)):
        for job in Job.objects.filter(pk__in=meant).order_by("id"):
            jobs.cancel_job(job, by=_owner())


def _owner() -> Actor:
    return _actor(User.objects.get(pk=Membership.objects.get().user_id))


def _actor(user: Any) -> Actor:
    return Actor("user", user.pk, user.email, ROLE_PERMISSIONS["owner"], user.pk, request_id="drill")
