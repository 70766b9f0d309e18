"""Celery's entry points. A message carries no work: what is due stands in the outbox."""

from __future__ import annotations

from celery import shared_task

from apps.core.tasks import TenantTask


@shared_task(name="notifications.deliver_webhooks", queue="errands")
def deliver_webhooks() -> None:
    # Its queue is the one of work that waits for others.
    from apps.notifications.webhooks import dispatch

    dispatch.dispatch()


@shared_task(name="notifications.forget_old")
def forget_old() -> None:
    from apps.organizations.each import queue_for_each

    queue_for_each(forget_old_of_tenant)


@shared_task(name="notifications.forget_old_of_tenant", base=TenantTask)
def forget_old_of_tenant() -> None:
    from apps.notifications.services import inbox, webhooks

    inbox.forget_old()
    webhooks.forget_old()


@shared_task(name="notifications.tell_of_expiring_tokens")
def tell_of_expiring_tokens() -> None:
    from apps.organizations.each import queue_for_each

    queue_for_each(tell_of_expiring_tokens_of_tenant)


@shared_task(name="notifications.tell_of_expiring_tokens_of_tenant", base=TenantTask)
def tell_of_expiring_tokens_of_tenant() -> None:
    from apps.notifications.services import tokens

    tokens.tell_of_expiring_tokens()
