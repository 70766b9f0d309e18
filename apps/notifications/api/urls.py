from typing import Any

from django.urls import path

from apps.notifications.api.inbox import NotificationApi, PreferenceApi
from apps.notifications.api.webhooks import WebhookApi, WebhookDeliveryApi

routes: list[tuple[str, Any]] = [
    ("notifications", NotificationApi),
    ("webhooks", WebhookApi),
    ("webhook-deliveries", WebhookDeliveryApi),
]
paths = [path("notification-preferences/", PreferenceApi.as_view(), name="notification-preferences")]
