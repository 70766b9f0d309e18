"""The REST API, version 1."""

from itertools import chain

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from apps.accounts.api.urls import paths as sign_in_paths
from apps.audit.api.views import AuditApi
from apps.console.data_rights.api import DataExportsApi, DeletionApi
from apps.costs.api.urls import paths as cost_paths
from apps.costs.api.urls import routes as costs
from apps.datasets.api.urls import routes as datasets
from apps.deployments.api.urls import routes as deployments
from apps.gateway.api.urls import paths as gateway_paths
from apps.gateway.api.urls import routes as gateway
from apps.jobs.api.urls import paths as job_paths
from apps.jobs.api.urls import routes as jobs
from apps.logs.api.urls import routes as calls
from apps.notifications.api.urls import paths as notification_paths
from apps.notifications.api.urls import routes as notifications
from apps.organizations.api.mine import MyOrganizationsApi
from apps.organizations.api.views import (
    InvitationApi,
    MeApi,
    MemberApi,
    OrganizationApi,
    OwnershipApi,
    RoleApi,
    TokenApi,
)
from apps.organizations.api.views.projects import ProjectApi
from apps.ratelimits.api.urls import paths as limit_paths
from apps.ratelimits.api.urls import routes as limits
from apps.registry.api.urls import routes as registry
from apps.training.api.urls import routes as training
from apps.usage.api.urls import paths as usage_paths
from apps.usage.api.urls import routes as usage

router = SimpleRouter()
router.register("members", MemberApi)
router.register("invitations", InvitationApi)
router.register("projects", ProjectApi)
router.register("tokens", TokenApi)
router.register("audit", AuditApi)
router.register("organization/exports", DataExportsApi)
of_apps = (jobs, datasets, registry, training, deployments, gateway, costs, calls, usage, limits, notifications)
for prefix, view in chain.from_iterable(of_apps):
    router.register(prefix, view)

urlpatterns = [
    *sign_in_paths,
    path("organizations/", MyOrganizationsApi.as_view(), name="my-organizations"),
    path("me/", MeApi.as_view(), name="me"),
    path("organization/", OrganizationApi.as_view(), name="organization"),
    path("organization/transfer/", OwnershipApi.as_view({"post": "transfer"}), name="organization-transfer"),
    path("organization/leave/", OwnershipApi.as_view({"post": "leave"}), name="organization-leave"),
    path(
        "organization/deletion/",
        DeletionApi.as_view({"post": "ask", "delete": "cancel"}),
        name="organization-deletion",
    ),
    path("roles/", RoleApi.as_view(), name="roles"),
    *job_paths,
    *usage_paths,
    *limit_paths,
    *gateway_paths,
    *cost_paths,
    *notification_paths,
    path("", include(router.urls)),
]
