"""Settings every process shares. What differs between installations comes from the environment."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import unquote, urlsplit

from csp.constants import NONCE
from django.core.exceptions import ImproperlyConfigured

from apps.core.addresses import networks
from config.environment import ROOT, env

BASE_DIR = ROOT
STATE_DIR = env.path("STATE_DIR", default=ROOT / ".data")

SECRET_KEY = env.str("SECRET_KEY")
env.str("TOKEN_PEPPER")  # read by core.tokens; missing it must stop the process at its start
DEBUG = env.bool("DEBUG", default=False)
STYLEGUIDE = env.bool("STYLEGUIDE", default=False)
PUBLIC_URL = env.str("PUBLIC_URL", default="http://localhost:8000").rstrip("/")
EDGE_URL = env.str("EDGE_URL", default=PUBLIC_URL).rstrip("/")
LLM_URL = env.str("LLM_URL", default="")
MODEL_CALL_DAYS = env.int("MODEL_CALL_DAYS", default=90)
# Where our own probes reach both planes, if not at their public addresses.
WEB_PROBE_URL = env.str("WEB_PROBE_URL", default=PUBLIC_URL).rstrip("/")
EDGE_PROBE_URL = env.str("EDGE_PROBE_URL", default=EDGE_URL).rstrip("/")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[urlsplit(PUBLIC_URL).hostname, "localhost", "127.0.0.1"])
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
# Networks of the proxies in front of us: only what these say about a client's address is believed.
TRUSTED_PROXIES = networks(env.list("TRUSTED_PROXIES", default=[]))

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_filters",
    "django_htmx",
    "channels",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.github",
    "apps.core",
    "apps.accounts",
    "apps.organizations",
    "apps.audit",
    "apps.notifications",
    "apps.usage",
    "apps.ratelimits",
    "apps.costs",
    "apps.logs",
    "apps.jobs",
    "apps.datasets",
    "apps.registry",
    "apps.training",
    "apps.deployments",
    "apps.gateway",
    "apps.console",
]

MIDDLEWARE = [
    "apps.core.security.ForwardedSchemeMiddleware",
    "apps.core.middleware.ClientAddressMiddleware",
    "apps.core.middleware.RequestIdMiddleware",
    "apps.core.observing.AccessMiddleware",
    "apps.core.security.SecurityHeadersMiddleware",
    "apps.core.health.ProbeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "apps.core.security.ContentPolicyMiddleware",
    "apps.accounts.middleware.VisitedSessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "apps.core.middleware.ErrorMiddleware",
    "apps.ratelimits.middleware.GuardMiddleware",
    "apps.console.middleware.OperatorMiddleware",
    "apps.organizations.middleware.TenantMiddleware",
    "apps.organizations.middleware.ApiTenantMiddleware",
    "apps.ratelimits.middleware.PolicyMiddleware",
    "apps.core.middleware.TimeZoneMiddleware",
    "apps.organizations.idempotency.IdempotencyMiddleware",
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "apps.organizations.context_processors.memberships",
                "apps.notifications.context_processors.inbox",
            ],
        },
    }
]

# --- Database: four roles (docs/architecture.md, "Tenancy") ---------------------------------------------


def database(url: str) -> dict:
    parts = urlsplit(url)
    return {
        "ENGINE": "apps.core.postgres",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": parts.port or 5432,
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"connect_timeout": 5},
    }


DATABASES = {
    "default": {**database(env.str("DATABASE_URL")), "ATOMIC_REQUESTS": True},
    "owner": database(env.str("DATABASE_OWNER_URL", default=env.str("DATABASE_URL"))),
    "console": database(env.str("DATABASE_CONSOLE_URL", default=env.str("DATABASE_URL"))),
}
# Only the sink connects as it; migrations give it its rights.
SINK_ROLE = database(env.str("DATABASE_SINK_URL", default=env.str("DATABASE_URL")))["USER"]
DATABASE_ROUTERS = ["config.database_router.OwnerMigrates"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Redis: cache, sockets, doorbells --------------------------------------------------------------------

REDIS_URL = env.str("REDIS_URL")
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [REDIS_URL], "prefix": "live"},
    }
}

# --- Files -----------------------------------------------------------------------------------------------


def object_storage(url: str) -> dict:
    """`file:///folder`, or `s3://key:secret@host:port/bucket` (plain HTTP on loopback, otherwise HTTPS)."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": parts.path}}
    scheme = "http" if parts.hostname in {"127.0.0.1", "localhost"} else "https"
    options = {
        "bucket_name": parts.path.strip("/"),
        "access_key": unquote(parts.username or ""),
        "secret_key": unquote(parts.password or ""),
        "endpoint_url": f"{scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else ""),
        "addressing_style": "path",
        "signature_version": "s3v4",
        "file_overwrite": True,
        "default_acl": None,
    }
    return {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": options}


STORAGES = {
    "default": object_storage(env.str("STORAGE_URL", default=f"file://{STATE_DIR}/objects")),
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
UPLOAD_MAX_BYTES = env.int("UPLOAD_MAX_BYTES", default=1_000_000_000)
STORAGE_CACHE_BYTES = env.int("STORAGE_CACHE_BYTES", default=10_000_000_000)  # copies of S3 objects on local disk
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024
FILE_UPLOAD_TEMP_DIR = None

# Networks such as 10.1.0.0/16 that user-given URLs may reach although they are not public.
OUTBOUND_ALLOWED_NETWORKS: list[str] = env.list("OUTBOUND_ALLOWED_NETWORKS", default=[])

STATIC_URL = "static/"
STATIC_ROOT = env.path("STATIC_ROOT", default=STATE_DIR / "static")
STATICFILES_DIRS = [ROOT / "static"]

# --- People ----------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "start:start"
LOGOUT_REDIRECT_URL = "account_login"
SESSION_ENGINE = "apps.accounts.sessions"
MIGRATION_MODULES = {"sessions": None}  # only the command `clearsessions`: the rows are `accounts.Session`
ACCOUNT_ADAPTER = "apps.accounts.adapter.AccountAdapter"
ACCOUNT_FORMS = {
    "login": "apps.accounts.forms.LoginForm",
    "signup": "apps.accounts.forms.SignupForm",
    "reset_password": "apps.accounts.forms.ResetPasswordForm",
    "reset_password_from_key": "apps.accounts.forms.ResetPasswordKeyForm",
    "change_password": "apps.accounts.forms.ChangePasswordForm",
}
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = True  # only in the browser that signed up
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = "[Modelyard] "
ACCOUNT_PREVENT_ENUMERATION = "strict"
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_SESSION_REMEMBER = True
# Strangers are limited by the installation's guards (apps/ratelimits/guards). What only allauth knows of, it limits:
# the mails to one address, and what a person who is signed in does.
ACCOUNT_TRIES = "apps.ratelimits.guards.tries"
ACCOUNT_RATE_LIMITS = {
    "login": None,
    "login_failed": None,
    "signup": None,
    "reset_password": None,
    "reset_password_from_key": None,
    "confirm_email": "1/3m/key",
    "reauthenticate": "10/m/user",
    "change_password": "5/m/user",
    "manage_email": "10/m/user",
}

# --- Mail: by a server if there is one, else kept for the operator ---------------------------------------

if EMAIL_URL := env.str("EMAIL_URL", default=""):
    if urlsplit(EMAIL_URL).scheme not in {"smtp", "submission"}:
        raise ImproperlyConfigured(
            "EMAIL_URL begins with submission:// (STARTTLS), or with smtp:// (?ssl=true for TLS)."
        )
    vars().update(env.dj_email_url("EMAIL_URL"))
else:
    EMAIL_BACKEND = env.str("EMAIL_BACKEND", default="apps.accounts.mail.KeptMailBackend")
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Modelyard <noreply@localhost>")

# --- Second factor, passkeys, GitHub (docs/accounts.md) ---------------------------------------------------

MFA_ADAPTER = "apps.accounts.mfa_adapter.MFAAdapter"
# Nobody is signed in before an address of theirs is proven; without this a change of it would exclude two-factor.
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_TOTP_TOLERANCE = 1  # clocks differ; a spent code is refused by its step (apps.accounts.second_factor)
MFA_FORMS = {
    "authenticate": "apps.accounts.mfa_forms.AuthenticateForm",
    "reauthenticate": "apps.accounts.mfa_forms.ReauthenticateForm",
    "activate_totp": "apps.accounts.mfa_forms.ActivateAppForm",
    "add_webauthn": "apps.accounts.mfa_forms.AddPasskeyForm",
    "edit_webauthn": "apps.accounts.mfa_forms.EditPasskeyForm",
    "authenticate_webauthn": "apps.accounts.mfa_forms.AuthenticatePasskeyForm",
    "login_webauthn": "apps.accounts.mfa_forms.LoginPasskeyForm",
    "reauthenticate_webauthn": "apps.accounts.mfa_forms.ReauthenticatePasskeyForm",
}

OPERATORS_NEED_SECOND_FACTOR = env.bool("OPERATORS_NEED_SECOND_FACTOR", default=False)

# GitHub, or a GitHub Enterprise at GITHUB_URL. Without a client id there is no such button.
GITHUB_URL = env.str("GITHUB_URL", default="https://github.com").rstrip("/")
GITHUB_CLIENT_ID = env.str("GITHUB_CLIENT_ID", default="")
GITHUB_CLIENT_SECRET = env.str("GITHUB_CLIENT_SECRET", default="")
SOCIALACCOUNT_ADAPTER = "apps.accounts.social_adapter.SocialAccountAdapter"
SOCIALACCOUNT_PROVIDERS = {"github": {"provider_class": "apps.accounts.github.provider.GitHubProvider"}}
SOCIALACCOUNT_EMAIL_AUTHENTICATION = False
SOCIALACCOUNT_EMAIL_AUTHENTICATION_AUTO_CONNECT = False
SOCIALACCOUNT_EMAIL_VERIFICATION = "mandatory"
SOCIALACCOUNT_LOGIN_ON_GET = False
SOCIALACCOUNT_REAUTHENTICATION_REQUIRED = True
SOCIALACCOUNT_STORE_TOKENS = False

# --- API -------------------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["apps.core.api.authentication.ActorAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["apps.core.api.permissions.AreaPermission"],
    "DEFAULT_PAGINATION_CLASS": "apps.core.api.pagination.NewestFirst",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_PARSER_CLASSES": [
        "apps.core.api.parsers.JSONParser",
        "rest_framework.parsers.FormParser",
        "rest_framework.parsers.MultiPartParser",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "apps.core.api.negotiation.BrowsersGetJson",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "apps.core.api.problems.problem_response",
    "PAGE_SIZE": 50,
}
SIMPLE_JWT = {
    "ALGORITHM": "ES256",
    "SIGNING_KEY": "",  # the keys are those of accounts.jwt.keys
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=5),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=14),
    "ISSUER": PUBLIC_URL,
    "AUDIENCE": f"{PUBLIC_URL}/api/v1/",
    "LEEWAY": 0,
    "USER_ID_CLAIM": "sub",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Modelyard API",
    "DESCRIPTION": "Datasets, training, models, deployments, jobs and usage of one organization.",
    "VERSION": "1.0.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PUBLIC": True,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "apps.core.api.schema.tell_organization",
        "apps.core.api.schema.tell_idempotency",
        "apps.core.api.preconditions.tell_preconditions",
        "apps.core.api.schema.tell_refusals",
    ],
    "SERVERS": [{"url": PUBLIC_URL}],
    "ENUM_NAME_OVERRIDES": {
        "JobStatus": "apps.jobs.enums.Status",
        "TrialStatus": "apps.training.enums.TrialStatus",
        "MetricName": "apps.registry.enums.MetricName",
        "TaskName": "apps.registry.enums.TaskName",
        "Algorithm": "apps.registry.enums.AlgorithmName",
        "Role": "apps.organizations.enums.Role",
        "TokenKind": "apps.organizations.enums.TokenKind",
        "TokenStatus": "apps.organizations.enums.TokenStatus",
        "InvitationStatus": "apps.organizations.enums.InvitationStatus",
        "PriceSource": "apps.costs.catalog.SOURCES",
        "UpstreamKind": "apps.gateway.models.KINDS",
        "LimitSubject": "apps.ratelimits.enums.Subject",
        "ListedSubject": "apps.ratelimits.enums.LISTED",
        "LimitAlgorithm": "apps.ratelimits.enums.Algorithm",
        "ListKind": "apps.ratelimits.enums.EntryKind",
        "WebhookEndpointStatus": "apps.notifications.webhooks.enums.EndpointStatus",
        "WebhookDeliveryStatus": "apps.notifications.webhooks.enums.DeliveryStatus",
    },
}

# --- Browser security ------------------------------------------------------------------------------------

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'", NONCE],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "connect-src": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
        # Browsers hold the redirect after a form's POST to this too.
        "form-action": ["'self'", *([GITHUB_URL] if GITHUB_CLIENT_ID else [])],
        "object-src": ["'none'"],
    },
}
# What the tools need that we do not write ourselves (docs/decisions/0008-the-consoles-policy.md).
CONTENT_POLICIES_BY_PREFIX = {
    "/admin/": {"script-src": ["'self'", "'unsafe-eval'"], "style-src": ["'self'", "'unsafe-inline'"]},
    "/api/docs/": {"style-src": ["'self'", "'unsafe-inline'"]},
    "/api/redoc/": {"style-src": ["'self'", "'unsafe-inline'"], "worker-src": ["blob:"]},
}
SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": ", ".join(
        [
            *(f"{feature}=()" for feature in ("accelerometer", "browsing-topics", "camera", "display-capture")),
            *(f"{feature}=()" for feature in ("encrypted-media", "geolocation", "gyroscope", "hid", "magnetometer")),
            *(f"{feature}=()" for feature in ("microphone", "midi", "payment", "screen-wake-lock", "serial", "usb")),
            "xr-spatial-tracking=()",
            "publickey-credentials-create=(self)",
            "publickey-credentials-get=(self)",
        ]
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SECURE_REFERRER_POLICY = "same-origin"
CSRF_FAILURE_VIEW = "apps.core.refusals.csrf_failure"
X_FRAME_OPTIONS = "DENY"

# --- Background work -------------------------------------------------------------------------------------

JOB_LEASE_SECONDS = env.int("JOB_LEASE_SECONDS", default=6)
JOB_HEARTBEAT_SECONDS = 1.5
JOB_SWEEP_SECONDS = 0.5
# How long a handler may go on after it was asked to stop, before its process is ended.
JOB_STOP_GRACE_SECONDS = env.float("JOB_STOP_GRACE_SECONDS", default=10)
# How long running jobs may go on after their worker was told to stop, before others begin them anew.
JOB_SHUTDOWN_GRACE_SECONDS = env.float("JOB_SHUTDOWN_GRACE_SECONDS", default=2)
# Modules with kinds of one's own, which `apps.jobs.kinds.kind` registers.
JOB_KIND_MODULES: list[str] = env.list("JOB_KIND_MODULES", default=[])
TRAINING_THREADS = env.int("TRAINING_THREADS", default=1)

USE_TZ = True
TIME_ZONE = "UTC"
FORMAT_MODULE_PATH = "config.formats"
LANGUAGE_CODE = "en"
SITE_NAME = "Modelyard"

from config.logging import LOGGING  # noqa: E402,F401
from config.unfold import UNFOLD  # noqa: E402,F401
