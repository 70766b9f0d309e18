"""Who signs in by the API: email, password and second factor, counted together with the sign-in page.

The request is handed on because failed tries are counted by its address.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from allauth.account.adapter import get_adapter
from allauth.account.utils import has_verified_email
from django.http import HttpRequest

from apps.accounts import second_factor
from apps.accounts.jwt import errors
from apps.accounts.models import User
from apps.accounts.tries import TooManyFailed


def person_signing_in(request: HttpRequest, email: str, password: str, code: str = "") -> User:
    """The person these credentials prove.

    Raises `CredentialsWrong`, `SecondFactorNeeded`, `SecondFactorWrong`, `TooManyAttempts`.
    """
    with _limits_told():
        found = get_adapter(request).authenticate(request, email=email, password=password)
    user = cast("User | None", found)
    if user is None or not user.is_active or not has_verified_email(user, email):
        raise errors.CredentialsWrong
    if second_factor.is_enabled(user):
        _require_code(user, code)
    return user


@contextmanager
def counted_attempt(request: HttpRequest, email: str) -> Iterator[None]:
    """The block counts as a failed sign-in of `email` unless it ends well. Raises `TooManyAttempts`."""
    adapter = get_adapter(request)
    with _limits_told():
        adapter.pre_authenticate(request, email=email)
    yield
    adapter._rollback_login_failed_rl_usage()


def _require_code(user: User, code: str) -> None:
    if not code:
        raise errors.SecondFactorNeeded
    if not second_factor.check_code(user, code):
        raise errors.SecondFactorWrong


@contextmanager
def _limits_told() -> Iterator[None]:
    try:
        yield
    except TooManyFailed as refused:
        raise errors.TooManyAttempts(seconds=refused.wait_s) from None
