"""The second factor: whether a person has one, and whether a code is right.

The pages of allauth.mfa and the API ask here, so that a code is spent once, whichever door it was used at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from uuid import UUID

import structlog
from allauth.account.adapter import get_adapter as get_account_adapter
from allauth.core import context
from allauth.mfa import app_settings
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_used
from allauth.mfa.totp.internal import auth as totp
from django.db import transaction

from apps.accounts import mail, tries
from apps.accounts.models import User
from apps.accounts.tries import TooManyFailed
from apps.core import live

log = structlog.get_logger(__name__)

TOTP, RECOVERY_CODES, WEBAUTHN = (
    Authenticator.Type.TOTP,
    Authenticator.Type.RECOVERY_CODES,
    Authenticator.Type.WEBAUTHN,
)
FEW_CODES = 3
WANTED_PAGE = "page_behind_second_factor"  # in the session: where somebody was going who must set one up first


def is_enabled(user: User) -> bool:
    """Whether signing in takes more than the password."""
    return bool(holders([user.pk]))


def holders(user_ids: Iterable[UUID]) -> set[UUID]:
    """Those of the people who have a second factor."""
    factors = Authenticator.objects.filter(user__in=list(user_ids), type__in=[TOTP, WEBAUTHN])
    return set(factors.values_list("user_id", flat=True))


def is_last(authenticator: Authenticator) -> bool:
    """Whether signing in takes the password alone without it."""
    others = Authenticator.objects.filter(user=authenticator.user_id, type__in=[TOTP, WEBAUTHN])
    return not others.exclude(pk=authenticator.pk).exists()


def check_code(user: User, code: str) -> bool:
    """Whether `code` is right; it is spent then. While there were too many wrong ones, no code is right.

    Counts attempts together with the sign-in page, within the request being answered.
    """
    try:
        take_back = count_try(user)
    except TooManyFailed:
        return False
    authenticator = spend(user, code)
    if authenticator is None:
        return False
    take_back()
    authenticator.record_usage()
    authenticator_used.send(sender=Authenticator, request=context.request, user=user, authenticator=authenticator)
    return True


def count_try(user: User) -> Callable[[], None]:
    """Count a wrong code, unless the answer is called. Raises `TooManyFailed`."""
    return tries.count(context.request, f"code of {user.pk}")


def spend(user: User, code: str) -> Authenticator | None:
    """What accepts `code`, which it never does again. None when it is wrong or spent; counts no attempts."""
    for authenticator in Authenticator.objects.filter(user=user, type__in=[TOTP, RECOVERY_CODES]):
        accepts = _spend_totp if authenticator.type == TOTP else _spend_recovery_code
        if accepts(authenticator, code):
            return authenticator
    return None


@transaction.atomic
def _spend_totp(authenticator: Authenticator, code: str) -> bool:
    # The last step that was used stands in the row: a cache may be emptied, and then a code would work twice.
    data = Authenticator.objects.select_for_update().get(pk=authenticator.pk).data
    step = _step_of(totp.decrypt(data["secret"]), code)
    if step is None or step <= data.get("spent_step", -1):
        return False
    authenticator.data = {**data, "spent_step": step}
    authenticator.save(update_fields=["data"])
    return True


def _step_of(secret: str, code: str) -> int | None:
    """The time step, of those tolerated now, whose code this is (RFC 6238)."""
    for step in totp.yield_hotp_counters_from_time():
        expected = totp.format_hotp_value(totp.hotp_value(secret, step))
        if totp.compare_user_code(actual=code, expected=expected):
            return step
    return None


def spend_setup_code(authenticator: Authenticator, code: str) -> None:
    """The code that set a new app up signs nobody in, also when the app's clock is ahead."""
    current = max(totp.yield_hotp_counters_from_time()) - app_settings.TOTP_TOLERANCE
    authenticator.data["spent_step"] = _step_of(totp.decrypt(authenticator.data["secret"]), code) or current
    authenticator.save(update_fields=["data"])


def _spend_recovery_code(authenticator: Authenticator, code: str) -> bool:
    return authenticator.wrap().validate_code(code)


def tell_recovery_code_used(authenticator: Authenticator) -> None:
    """By mail, within the request being answered."""
    authenticator.refresh_from_db()
    left = len(authenticator.wrap().get_unused_codes())
    get_account_adapter().send_notification_mail("mfa/email/recovery_code_used", authenticator.user, {"left": left})


@transaction.atomic
def remove(user: User) -> None:
    """Let somebody who has lost every factor in with the password alone. A mail tells them."""
    Authenticator.objects.filter(user=user).delete()
    live.disconnect(user.pk)
    mail.send("mfa/email/second_factor_removed", user.email, {})
    log.info("second_factor.removed_by_operator", user=str(user.pk))
