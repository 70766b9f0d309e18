from apps.notifications.models.inbox import Notification, Preference
from apps.notifications.models.webhooks import Delivery, DeliveryAttempt, WebhookEndpoint, WebhookMessage

__all__ = ["Delivery", "DeliveryAttempt", "Notification", "Preference", "WebhookEndpoint", "WebhookMessage"]
