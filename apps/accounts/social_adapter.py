"""Signing in through GitHub: which application we are there, and whom a GitHub account is for."""

from __future__ import annotations

from typing import Any

import structlog
from allauth.account.internal.userkit import filter_users_by_email
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp, SocialLogin
from allauth.socialaccount.providers.base import Provider
from allauth.socialaccount.providers.base.constants import AuthProcess
from django.conf import settings
from django.http import HttpRequest
from django.shortcuts import render

from apps.accounts import services
from apps.accounts.models import User

log = structlog.get_logger()
GITHUB = "github"


class SocialAccountAdapter(DefaultSocialAccountAdapter):
    error_messages = {
        **DefaultSocialAccountAdapter.error_messages,
        "no_password": "GitHub is your only way to sign in. Set a password first; then you can disconnect it.",
    }

    def list_apps(
        self, request: HttpRequest, provider: str | None = None, client_id: str | None = None
    ) -> list[SocialApp]:
        """The application of the environment: no client secret lies in the database."""
        app = SocialApp(provider=GITHUB, client_id=settings.GITHUB_CLIENT_ID, secret=settings.GITHUB_CLIENT_SECRET)
        return [app] if provider in {None, GITHUB} and client_id in {None, app.client_id} else []

    def list_providers(self, request: HttpRequest) -> list[Provider]:
        """Those to offer a button for."""
        return super().list_providers(request) if settings.GITHUB_CLIENT_ID else []

    def populate_user(self, request: HttpRequest, sociallogin: SocialLogin, data: dict[str, Any]) -> User:
        user = sociallogin.user
        user.email = data.get("email") or ""
        user.name = (data.get("name") or "")[: User._meta.get_field("name").max_length]
        return user

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Stops a GitHub account that nobody connected at the account whose address it has.

        Only the provider's id links. That the address is taken is told to its owner alone, for GitHub has verified it.
        """
        if sociallogin.is_existing or sociallogin.state.get("process") == AuthProcess.CONNECT:
            return
        for address in sociallogin.email_addresses:
            services.release_address(address.email, to=sociallogin.user)
            if filter_users_by_email(address.email):
                context = {"email": address.email}
                raise ImmediateHttpResponse(render(request, "socialaccount/address_taken.html", context, status=409))

    def on_authentication_error(
        self, request: HttpRequest, provider: Any, error: Any = None, exception: Any = None, extra_context: Any = None
    ) -> None:
        log.warning("github.refused", error=str(error), exception=type(exception).__name__ if exception else None)
