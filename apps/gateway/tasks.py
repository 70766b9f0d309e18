from __future__ import annotations

from celery import shared_task

from apps.core.tasks import TenantTask


@shared_task(name="gateway.restore_budgets")
def restore_budgets() -> None:
    """Make anew the counters of budgets that Redis lost, or that were not compared with the record lately."""
    from apps.gateway import spending

    spending.restore()


@shared_task(name="gateway.forget_old")
def forget_old() -> None:
    from apps.organizations.each import queue_for_each

    queue_for_each(forget_old_of_tenant)


@shared_task(name="gateway.forget_old_of_tenant", base=TenantTask)
def forget_old_of_tenant() -> None:
    from apps.gateway.services import records

    records.forget_old()
