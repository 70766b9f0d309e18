from django.urls import path

from apps.usage.api.views import QuotasApi, UsageApi, UsageEventApi

routes = [("usage/events", UsageEventApi)]
paths = [
    path("usage/", UsageApi.as_view(), name="usage"),
    path("usage/quotas/", QuotasApi.as_view(), name="usage-quotas"),
]
