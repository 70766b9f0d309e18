"""Behind proxies that end TLS (TRUSTED_PROXIES). Refuses to start with what must never be in production."""

from django.core.exceptions import ImproperlyConfigured

from apps.core.secrets_strength import weakness
from config.settings.base import *

if DEBUG:
    raise ImproperlyConfigured("DEBUG shows everybody what is inside. Set it to false in production.")
for name in ("SECRET_KEY", "TOKEN_PEPPER"):
    for secret in env.str(name).split(",") if name == "TOKEN_PEPPER" else [env.str(name)]:
        if reason := weakness(secret):
            raise ImproperlyConfigured(
                f"{name} {reason}. Make one with: python -c 'import secrets; print(secrets.token_urlsafe(48))'"
            )

# Probes come over plain HTTP, past the proxies.
SECURE_SSL_REDIRECT = True
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
# core.security.ForwardedSchemeMiddleware leaves the header in only where a trusted proxy sent it.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True

# A browser takes a `__Host-` cookie only over TLS, for the whole site, and for no other host.
SESSION_COOKIE_NAME = "__Host-session"
SESSION_COOKIE_SECURE = True
SESSION_COOKIE_PATH = "/"
SESSION_COOKIE_DOMAIN = None
CSRF_COOKIE_NAME = "__Host-csrf"
CSRF_COOKIE_SECURE = True
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_PATH = "/"
CSRF_COOKIE_DOMAIN = None
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https"
OPERATORS_NEED_SECOND_FACTOR = True
