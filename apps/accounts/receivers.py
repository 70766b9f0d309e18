"""What follows from events of allauth: lines in the log, a mail, a spent code."""

from __future__ import annotations

from typing import Any

import structlog
from allauth.mfa import signals as mfa
from allauth.mfa.models import Authenticator
from allauth.socialaccount import signals as social
from django.dispatch import receiver
from django.http import HttpRequest

from apps.accounts import second_factor
from apps.core import live

log = structlog.get_logger()


@receiver(mfa.authenticator_added)
def spend_code_of_new_app(request: HttpRequest, authenticator: Authenticator, **_: Any) -> None:
    if authenticator.type == second_factor.TOTP:
        second_factor.spend_setup_code(authenticator, request.POST.get("code", ""))


@receiver(mfa.authenticator_used)
def tell_recovery_code_used(authenticator: Authenticator, **_: Any) -> None:
    if authenticator.type == second_factor.RECOVERY_CODES:
        second_factor.tell_recovery_code_used(authenticator)


@receiver(mfa.authenticator_added)
def log_added(user: Any, authenticator: Authenticator, **_: Any) -> None:
    log.info("second_factor.added", user=str(user.pk), kind=authenticator.type)


@receiver(mfa.authenticator_removed)
def log_removed(user: Any, authenticator: Authenticator, **_: Any) -> None:
    log.info("second_factor.removed", user=str(user.pk), kind=authenticator.type)


@receiver(mfa.authenticator_removed)
def close_pages(user: Any, **_: Any) -> None:
    """Those of organizations that require a second factor; the others come back by themselves."""
    live.disconnect(user.pk)


@receiver(mfa.authenticator_reset)
def log_reset(user: Any, authenticator: Authenticator, **_: Any) -> None:
    log.info("second_factor.reset", user=str(user.pk), kind=authenticator.type)


@receiver(social.social_account_added)
def log_connected(sociallogin: Any, **_: Any) -> None:
    log.info("github.connected", user=str(sociallogin.user.pk), uid=sociallogin.account.uid)


@receiver(social.social_account_removed)
def log_disconnected(socialaccount: Any, **_: Any) -> None:
    log.info("github.disconnected", user=str(socialaccount.user_id), uid=socialaccount.uid)
