"""How allauth signs people up and in: the email is the login, and every rule here holds for pages and API alike."""

from __future__ import annotations

import math
import time
from typing import Any, ClassVar
from urllib.parse import urlsplit, urlunsplit

from allauth.account import app_settings
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.models import EmailAddress
from allauth.core.internal import ratelimit
from django.conf import settings
from django.core.cache import cache
from django.core.mail import EmailMultiAlternatives
from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme

from apps.accounts import devices, mail, services, tries
from apps.accounts.models import User
from apps.core import live

DEFAULT_WAIT_S = 60
PROOFS = {"password", "mfa"}  # those that are asked for once more; an account elsewhere is none of them


def wait_s(request: HttpRequest, action: str) -> int:
    """The seconds after which every limit of allauth on `action` lets whoever asks try again."""
    rates = ratelimit.get_rates(app="allauth.account", action=action)
    return max((_wait_s(request, action, rate) for rate in rates), default=DEFAULT_WAIT_S)


def _wait_s(request: HttpRequest, action: str, rate: ratelimit.Rate) -> int:
    tries = cache.get(ratelimit.get_cache_key(request, app="allauth.account", action=action, rate=rate), [])
    # The newest stands first; another passes when there is one less than the limit again.
    leaving = tries[rate.amount - 1] if len(tries) >= rate.amount else time.time() - rate.duration
    return max(1, math.ceil(leaving + rate.duration - time.time()))


class AccountAdapter(DefaultAccountAdapter):
    error_messages: ClassVar[dict[str, Any]] = {
        **DefaultAccountAdapter.error_messages,
        "email_password_mismatch": (
            "The address or the password is wrong, or the address is not confirmed: then check your mail."
        ),
    }

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        user = super().save_user(request, user, form, commit=False)
        user.email = user.email.lower()
        if commit:
            user.save()
        return user

    def unstash_verified_email(self, request: HttpRequest) -> None:
        """Whoever opened an invitation and signs up with its address has verified it; nobody else is given it."""

    def is_safe_url(self, url: str) -> bool:
        """Only our own pages: nothing that names a host, not even one of ours."""
        return url_has_allowed_host_and_scheme(url, allowed_hosts=None)

    def render_mail(
        self, template_prefix: str, email: str, context: dict[str, Any], headers: Any = None
    ) -> EmailMultiAlternatives:
        """The mail with links to PUBLIC_URL: the Host header that a link was built from is the client's to choose."""
        links = {name: _public(value) for name, value in context.items() if name.endswith("_url")}
        browser = {"browser": devices.device(context.get("user_agent", ""))}
        return mail.render(template_prefix, email, {**context, **links, **browser})

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        mail.post(self.render_mail(template_prefix, email, context))

    def send_notification_mail(self, template_prefix: str, user: Any, context: Any = None, email: Any = None) -> None:
        """What changed, to the person; a change of the address to the old one and the new one."""
        super().send_notification_mail(template_prefix, user, context, email)
        if context and "to_email" in context:
            super().send_notification_mail(template_prefix, user, context, context["to_email"])

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        services.release_address(email_address.email, to=email_address.user)
        return super().confirm_email(request, email_address)

    def set_password(self, user: User, password: str) -> None:
        """A new password ends every session but the one that asked for it."""
        super().set_password(user, password)
        is_own = self.request is not None and self.request.user == user
        services.end_sessions(user, keep=self.request.session.session_key if is_own else None)

    def get_reauthentication_methods(self, user: Any) -> list[dict]:
        """The ways to confirm who one is, in the words of our pages."""
        words = {"mfa_reauthenticate": "Use a code", "mfa_reauthenticate:webauthn": "Use a passkey"}
        methods = super().get_reauthentication_methods(user)
        return [{**method, "description": words.get(method["id"], method["description"])} for method in methods]

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Whoever has just signed in is not asked again, but for another address: it would take the account away."""
        if app != "allauth.account" and self._has_just_signed_in():
            return False
        return super().is_reauthentication_required(app=app, **kwargs)

    def _has_just_signed_in(self) -> bool:
        proofs = get_authentication_records(self.request, self.request.user)
        own = [proof["at"] for proof in proofs if proof["method"] in PROOFS]
        return bool(own) and time.time() - max(own) < app_settings.REAUTHENTICATION_TIMEOUT

    def logout(self, request: HttpRequest) -> None:
        user_id = request.user.pk
        super().logout(request)
        live.disconnect(user_id)

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Count a failed try, until it proves to be none. Raises `tries.TooManyFailed`."""
        self._take_back_try = tries.count(request, str(credentials.get("email", "")))

    def _rollback_login_failed_rl_usage(self) -> None:
        self._take_back_try()

    def _delete_login_attempts_cached_email(self, request: HttpRequest, **credentials: Any) -> None:
        """Whoever has reset the password may try again."""
        tries.forget(str(credentials.get("email", "")))


def _public(url: str) -> str:
    parts = urlsplit(url)
    return settings.PUBLIC_URL + urlunsplit(("", "", parts.path, parts.query, parts.fragment))
