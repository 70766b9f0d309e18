from __future__ import annotations

from celery import shared_task


@shared_task(name="accounts.forget_old")
def forget_old() -> None:
    from apps.accounts import services

    services.forget_old()
