from apps.notifications.models.inbox import Notification, Preference

__all__ = ["Notification", "Preference"]
