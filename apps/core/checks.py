"""`manage.py check --deploy`: what has to hold in production besides what Django itself checks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from apps.core.secrets_strength import weakness


@register(Tags.security, deploy=True)
def check_installation(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    return [*_addresses(), *_secrets(), *_cookies(), *_mails()]


def _addresses() -> Iterator[CheckMessage]:
    for name in ("PUBLIC_URL", "EDGE_URL"):
        if urlsplit(getattr(settings, name)).scheme != "https":
            yield Error(f"{name} has to begin with https://.", id="modelyard.E001")
    if "*" in settings.ALLOWED_HOSTS:
        yield Error("ALLOWED_HOSTS lets every name pass. List those of this installation.", id="modelyard.E002")
    if settings.SECURE_PROXY_SSL_HEADER and not settings.TRUSTED_PROXIES:
        yield Warning(
            "No proxy is trusted, so every request looks like plain HTTP from one client.",
            hint="Set TRUSTED_PROXIES to the networks of the proxies that end TLS, such as 10.0.0.0/8.",
            id="modelyard.W001",
        )


def _secrets() -> Iterator[CheckMessage]:
    peppers = os.environ["TOKEN_PEPPER"].split(",")
    named = {"SECRET_KEY": [settings.SECRET_KEY], "TOKEN_PEPPER": peppers}
    if token := os.environ.get("METRICS_TOKEN"):
        named["METRICS_TOKEN"] = [token]
    for name, secrets in named.items():
        for reason in filter(None, map(weakness, secrets)):
            yield Error(f"{name} {reason}.", id="modelyard.E003")
    if settings.SECRET_KEY in peppers:
        yield Error("TOKEN_PEPPER has to differ from SECRET_KEY.", id="modelyard.E004")


def _cookies() -> Iterator[CheckMessage]:
    for name in (settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME):
        if not name.startswith("__Host-"):
            yield Error(f"The cookie {name} could be set by another host. Name it __Host-...", id="modelyard.E005")


def _mails() -> Iterator[CheckMessage]:
    folder, _, kind = settings.EMAIL_BACKEND.removesuffix(".EmailBackend").rpartition(".")
    if folder == "django.core.mail.backends" and kind != "smtp":
        yield Warning(
            f"{settings.EMAIL_BACKEND} delivers no mail.",
            hint="Set EMAIL_URL to a mail server, or leave it empty: mails are kept for the operator then.",
            id="modelyard.W002",
        )
