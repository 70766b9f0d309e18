"""Every address of the control plane."""

from typing import Any

from allauth.account.decorators import secure_admin_login
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularRedocView, SpectacularSwaggerSplitView

from apps.accounts.api.views import key_set
from apps.accounts.urls import urlpatterns as account_urls

# One login for everybody: limited by account and address, which the admin's own is not.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]


def password_change(request: HttpRequest, extra_context: Any = None) -> HttpResponse:
    """The one page for it, for the same reason: it also ends other sessions and tells the person."""
    return redirect("account_change_password")


admin.site.password_change = password_change  # type: ignore[assignment, method-assign]

handler400 = "apps.core.refusals.bad_request"
handler404 = "apps.core.refusals.not_found"
handler429 = "apps.accounts.views.too_many_requests"
handler500 = "apps.core.refusals.server_error"


# One's own account: the person's alone, and what also concerns their organizations.
account_pages = [
    *account_urls,
]

organization_pages = [
    path("settings/", include("apps.organizations.urls")),
    path("settings/data/", include("apps.console.data_rights.urls")),
    path("trail/", include("apps.audit.urls")),
    path("notifications/", include("apps.notifications.urls")),
    path("data/", include("apps.datasets.urls")),
    path("training/", include("apps.training.urls")),
    path("models/", include("apps.registry.urls")),
    path("deployments/", include("apps.deployments.urls")),
    path("gateway/", include("apps.gateway.urls")),
    path("jobs/", include("apps.jobs.urls")),
    path("usage/", include("apps.usage.urls")),
    path("limits/", include("apps.ratelimits.urls")),
    path("calls/", include("apps.logs.urls")),
    path("palette/", include("apps.console.palette.urls")),
    path("", include("apps.console.urls")),
]

urlpatterns = [
    path(".well-known/jwks.json", key_set, name="key-set"),
    path("admin/dead-letters/", include("apps.console.dead.urls")),
    path("admin/", admin.site.urls),
    path("accounts/", include((account_pages, "accounts"))),
    path("accounts/", include("allauth.urls")),
    path("api/v1/", include("config.api_urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="api-schema"), name="api-docs"),
    path("api/redoc/", SpectacularRedocView.as_view(url_name="api-schema"), name="api-redoc"),
    path("o/<slug:organization_slug>/", include(organization_pages)),
    path("", include("apps.organizations.root_urls")),
    path("", include("apps.notifications.root_urls")),
    path("", include("apps.jobs.root_urls")),
    path("", include("apps.console.status.urls")),
    path("", include("apps.console.root_urls")),
]

if settings.STYLEGUIDE:
    urlpatterns.append(path("styleguide/", include("apps.core.styleguide.urls")))
