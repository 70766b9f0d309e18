"""Failed tries to sign in are counted over every door by whoever guards the installation (settings.ACCOUNT_TRIES)."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from apps.core.formatting import format_wait


class TooManyFailed(ValidationError):
    """Told where a wrong password is told."""

    def __init__(self, wait_s: int) -> None:
        self.wait_s = wait_s
        text = f"These were too many failed tries. Wait {format_wait(wait_s)}, or reset your password, then try again."
        super().__init__(text, code="too_many_login_attempts")


def count(request: HttpRequest, account: str) -> Callable[[], None]:
    """Count a try by the request's address on an account, which the answer takes back. Raises `TooManyFailed`."""
    return _counter().count(request.META.get("REMOTE_ADDR") or "", account)


def forget(account: str) -> None:
    """Begin anew with an account."""
    _counter().forget(account)


def _counter() -> Any:
    return import_module(settings.ACCOUNT_TRIES)
