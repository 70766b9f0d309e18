from typing import Any

from django.urls import path

from apps.ratelimits.api.check import CheckApi
from apps.ratelimits.api.views import EntryApi, HistoryApi, LimitsApi, PolicyApi

routes: list[tuple[str, Any]] = [
    ("ratelimits/policies", PolicyApi),
    ("ratelimits/entries", EntryApi),
]
paths = [
    path("ratelimits/", LimitsApi.as_view(), name="limits"),
    path("ratelimits/history/", HistoryApi.as_view(), name="limits-history"),
    path("ratelimits/check/", CheckApi.as_view({"post": "check"}), name="limits-check"),
    path("ratelimits/check/batch/", CheckApi.as_view({"post": "check_batch"}), name="limits-check-batch"),
    path("ratelimits/extend/", CheckApi.as_view({"post": "extend"}), name="limits-extend"),
    path("ratelimits/settle/", CheckApi.as_view({"post": "settle"}), name="limits-settle"),
]
