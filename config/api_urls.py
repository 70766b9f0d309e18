"""The REST API, version 1."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from apps.audit.api.views import AuditApi
from apps.datasets.api.urls import routes as datasets
from apps.jobs.api.urls import routes as jobs
from apps.organizations.api.views import MeApi, MemberApi, OrganizationApi, TokenApi
from apps.registry.api.urls import routes as registry
from apps.training.api.urls import routes as training

router = SimpleRouter()
router.register("members", MemberApi)
router.register("tokens", TokenApi)
router.register("audit", AuditApi)
for prefix, view in [*jobs, *datasets, *registry, *training]:
    router.register(prefix, view)

urlpatterns = [
    path("me/", MeApi.as_view(), name="me"),
    path("organization/", OrganizationApi.as_view(), name="organization"),
    path("", include(router.urls)),
]
