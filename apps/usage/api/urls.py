from django.urls import path

from apps.usage.api.views import UsageApi, UsageEventApi

routes = [("usage/events", UsageEventApi)]
paths = [path("usage/", UsageApi.as_view(), name="usage")]
