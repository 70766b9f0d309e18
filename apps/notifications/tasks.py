"""Celery's entry points. A message carries no work: what is due stands in the outbox."""

from __future__ import annotations

from celery import shared_task

from apps.core.tasks import TenantTask


@shared_task(name="notifications.deliver_webhooks", queue="errands")
def deliver_webhooks() -> None:
    # Its queue is the one of work that waits for others.
    from apps.notifications.webhooks import dispatch

    dispatch.dispatch()


@shared_task(name="notifications.forget_old_webhooks")
def forget_old_webhooks() -> None:
    """One task for each organization, so that none waits for another's."""
    from apps.core import tenancy
    from apps.organizations.models import Organization

    for organization_id in Organization.objects.values_list("pk", flat=True).iterator():
        with tenancy.scope(organization_id):
            forget_webhooks_of_tenant.delay()


@shared_task(name="notifications.forget_webhooks_of_tenant", base=TenantTask)
def forget_webhooks_of_tenant() -> None:
    from apps.notifications.services import webhooks

    webhooks.forget_old()
