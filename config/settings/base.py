"""Settings every process shares. What differs between installations comes from the environment."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from csp.constants import NONCE

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
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[urlsplit(PUBLIC_URL).hostname, "localhost", "127.0.0.1"])
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]

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
    "apps.usage",
    "apps.logs",
    "apps.jobs",
    "apps.datasets",
    "apps.registry",
    "apps.training",
    "apps.deployments",
    "apps.console",
]

MIDDLEWARE = [
    "apps.core.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "apps.core.middleware.ErrorMiddleware",
    "apps.organizations.middleware.TenantMiddleware",
    "apps.organizations.middleware.ApiTenantMiddleware",
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
            ],
        },
    }
]

# --- Database: three roles (docs/architecture.md, "Tenancy") ---------------------------------------------


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
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "optional"
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_ADAPTER = "apps.accounts.adapter.AccountAdapter"
ACCOUNT_SESSION_REMEMBER = True
EMAIL_BACKEND = env.str("EMAIL_BACKEND", default="django.core.mail.backends.console.EmailBackend")
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Modelyard <noreply@localhost>")

# --- Second factor, passkeys, GitHub (docs/accounts.md) ---------------------------------------------------

MFA_ADAPTER = "apps.accounts.mfa_adapter.MFAAdapter"
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
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "apps.core.api.problems.problem_response",
    "PAGE_SIZE": 50,
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
    "SERVERS": [{"url": PUBLIC_URL}],
    "ENUM_NAME_OVERRIDES": {
        "JobStatus": "apps.jobs.enums.Status",
        "TrialStatus": "apps.training.enums.TrialStatus",
        "MetricName": "apps.registry.enums.MetricName",
        "TaskName": "apps.registry.enums.TaskName",
        "Algorithm": "apps.registry.enums.AlgorithmName",
        "Role": "apps.organizations.enums.Role",
    },
}

# --- Browser security ------------------------------------------------------------------------------------

CONTENT_SECURITY_POLICY = {
    # Unfold's own scripts need Alpine and inline handlers; Redoc and Swagger start from an inline script.
    "EXCLUDE_URL_PREFIXES": ["/admin/", "/api/docs/", "/api/redoc/"],
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
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# --- Background work -------------------------------------------------------------------------------------

JOB_LEASE_SECONDS = env.int("JOB_LEASE_SECONDS", default=6)
JOB_HEARTBEAT_SECONDS = 1.5
JOB_SWEEP_SECONDS = 1.0
TRAINING_THREADS = env.int("TRAINING_THREADS", default=1)

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
SITE_NAME = "Modelyard"

from config.logging import LOGGING  # noqa: E402,F401
from config.unfold import UNFOLD  # noqa: E402,F401
