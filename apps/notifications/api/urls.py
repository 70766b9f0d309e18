from typing import Any

from django.urls import path

from apps.notifications.api.inbox import NotificationApi, PreferenceApi

routes: list[tuple[str, Any]] = [("notifications", NotificationApi)]
paths = [path("notification-preferences/", PreferenceApi.as_view(), name="notification-preferences")]
