"""How allauth signs people up and in: the email is the login, and every rule here holds for pages and API alike."""

from __future__ import annotations

import math
import time
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from allauth.account import app_settings
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import get_authentication_records
from allauth.account.models import EmailAddress
from allauth.core.internal import ratelimit
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme

from apps.accounts import devices, mail, services
from apps.accounts.models import User
from apps.core import live

DEFAULT_WAIT_S = 60
PROOFS = {"password", "mfa"}  # those that are asked for once more; an account elsewhere is none of them


def longest_wait_s(action: str) -> int:
    """The seconds after which every limit on `action` lets somebody try again."""
    rates = ratelimit.get_rates(app="allauth.account", action=action)
    return max((math.ceil(rate.duration) for rate in rates), default=DEFAULT_WAIT_S)


def in_words(seconds: int) -> str:
    minutes = math.ceil(seconds / 60)
    return f"{minutes} minute" + ("s" if minutes > 1 else "")


class AccountAdapter(DefaultAccountAdapter):
    @property
    def error_messages(self) -> dict[str, Any]:
        wait = in_words(longest_wait_s("login_failed"))
        text = f"These were too many failed tries. Wait {wait}, or reset your password, then try again."
        mismatch = "The address or the password is wrong, or the address is not confirmed: then check your mail."
        own = {"too_many_login_attempts": text, "email_password_mismatch": mismatch}
        return {**DefaultAccountAdapter.error_messages, **own}

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

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        # Without the host, which the client chooses among ours: one account has one count of failed tries.
        return str(credentials.get("email", "")).lower()


def _public(url: str) -> str:
    parts = urlsplit(url)
    return settings.PUBLIC_URL + urlunsplit(("", "", parts.path, parts.query, parts.fragment))
