from __future__ import annotations

from celery import shared_task


@shared_task(name="accounts.forget_old")
def forget_old() -> None:
    from apps.accounts import services

    services.forget_old()


@shared_task(name="accounts.tend_signing")
def tend_signing() -> None:
    """Rotate the key that signs tokens when it is old enough, and forget the sign-ins that have ended."""
    from apps.accounts.jwt import families, keys

    keys.rotate_when_due()
    families.forget_ended()


@shared_task(name="accounts.send_mails", queue="notify")
def send_mails() -> None:
    from apps.accounts import outbox

    outbox.send_due()
