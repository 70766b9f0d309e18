from __future__ import annotations

from celery import shared_task

from apps.core.tasks import TenantTask


@shared_task(name="audit.expire_trails")
def expire_trails() -> None:
    from apps.organizations.each import queue_for_each

    queue_for_each(expire_trail_of_tenant)


@shared_task(name="audit.expire_trail_of_tenant", base=TenantTask)
def expire_trail_of_tenant() -> None:
    from apps.audit import services

    services.expire_trail()
