"""The REST API, version 1."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from apps.audit.api.views import AuditApi
from apps.organizations.api.views import MeApi, MemberApi, OrganizationApi, TokenApi

router = SimpleRouter()
router.register("members", MemberApi)
router.register("tokens", TokenApi)
router.register("audit", AuditApi)

urlpatterns = [
    path("me/", MeApi.as_view(), name="me"),
    path("organization/", OrganizationApi.as_view(), name="organization"),
    path("", include(router.urls)),
]
