from typing import Any

from django.urls import path

from apps.ratelimits.api.views import EntryApi, HistoryApi, LimitsApi, PolicyApi

routes: list[tuple[str, Any]] = [
    ("ratelimits/policies", PolicyApi),
    ("ratelimits/entries", EntryApi),
]
paths = [
    path("ratelimits/", LimitsApi.as_view(), name="limits"),
    path("ratelimits/history/", HistoryApi.as_view(), name="limits-history"),
]
