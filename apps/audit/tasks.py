from __future__ import annotations

from celery import shared_task

from apps.core.tasks import TenantTask


@shared_task(name="audit.expire_trails")
def expire_trails() -> None:
    """One task for each organization, so that none waits for another's."""
    from apps.core import tenancy
    from apps.organizations.models import Organization

    for organization_id in Organization.objects.values_list("pk", flat=True).iterator():
        with tenancy.scope(organization_id):
            expire_trail_of_tenant.delay()


@shared_task(name="audit.expire_trail_of_tenant", base=TenantTask)
def expire_trail_of_tenant() -> None:
    from apps.audit import services

    services.expire_trail()
