"""Failed tries to sign in, as `apps.accounts` has them counted (settings.ACCOUNT_TRIES)."""

from __future__ import annotations

from collections.abc import Callable

from apps.accounts.tries import TooManyFailed
from apps.ratelimits.guards import asking
from apps.ratelimits.guards.known import Watched


def count(address: str, account: str) -> Callable[[], None]:
    said = asking.ask(Watched.FAILED_SIGN_INS, address, account)
    if not said.decision.is_allowed:
        raise TooManyFailed(said.wait_s)
    return said.take_back


def forget(account: str) -> None:
    asking.forget(Watched.FAILED_SIGN_INS, account)
