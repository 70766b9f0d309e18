from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from celery import shared_task

from apps.core.tasks import TenantTask
from apps.jobs import kinds

if TYPE_CHECKING:
    from apps.jobs.running import RunningJob


# It only waits for other jobs, so it must not take the place of one.
@kinds.kind(
    "console.sample_project",
    queue="errands",
    time_limit_s=900,
    max_attempts=2,
    started_by="the sample project on the first page",
)
def build_sample_project(job: RunningJob) -> dict[str, Any]:
    from apps.console.sample import building

    return building.build_as(UUID(job.input["user_id"]), job.progress)


@kinds.kind(
    "organization.export",
    queue="data",
    time_limit_s=6 * 3600,
    max_attempts=3,
    tells_its_own_end=True,
    started_by="POST /api/v1/organization/exports/",
)
def make_export(job: RunningJob) -> None:
    from apps.console.data_rights import exports

    exports.make_export(job)


@shared_task(name="console.echo")
def echo(nonce: str) -> None:
    """Tell the prober that a worker took this."""
    from apps.console.status import probes

    probes.answer_echo(nonce)


@shared_task(name="console.publish_lost_snapshots")
def publish_lost_snapshots() -> None:
    """Publish again what Redis lost, and tell again what was erased."""
    from apps.console.data_rights import erasure
    from apps.core import snapshots
    from apps.organizations.models import Organization
    from apps.ratelimits.guards import services as guards

    if snapshots.missing([snapshots.INSTALLATION]):
        guards.publish_or_leave_to_beat()
    for organization_id in snapshots.missing(Organization.objects.values_list("pk", flat=True)):
        snapshots.publish_or_leave_to_beat(organization_id)
    snapshots.forget(*snapshots.untold(erasure.erased()))


@shared_task(name="console.publish_late_snapshots")
def publish_late_snapshots() -> None:
    """Publish what a crash between commit and publication kept back. What is published already stays as it is."""
    from apps.core import snapshots
    from apps.organizations.models import Organization

    for organization_id in Organization.objects.values_list("pk", flat=True).iterator():
        snapshots.publish_or_leave_to_beat(organization_id)


@shared_task(name="console.forget_old_answers")
def forget_old_answers() -> None:
    from apps.organizations import idempotency
    from apps.organizations.each import queue_for_each

    idempotency.forget_old_personal()
    queue_for_each(forget_answers_of_tenant)


@shared_task(name="console.forget_answers_of_tenant", base=TenantTask)
def forget_answers_of_tenant() -> None:
    from apps.organizations import idempotency

    idempotency.forget_old()


@shared_task(name="console.remove_expired_exports")
def remove_expired_exports() -> None:
    from apps.organizations.each import queue_for_each

    queue_for_each(remove_expired_exports_of_tenant)


@shared_task(name="console.remove_expired_exports_of_tenant", base=TenantTask)
def remove_expired_exports_of_tenant() -> None:
    from apps.console.data_rights import exports

    exports.remove_expired()


@shared_task(name="console.erase_due_organizations")
def erase_due_organizations() -> None:
    """One task for each, so that none waits for another's."""
    from apps.console.data_rights import erasure

    for organization_id in erasure.due():
        erase_organization.delay(str(organization_id))


@shared_task(name="console.erase_organization", queue="errands")
def erase_organization(organization_id: str) -> None:
    from apps.console.data_rights import erasure

    erasure.erase(UUID(organization_id))
