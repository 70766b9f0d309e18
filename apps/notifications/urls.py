from django.urls import path

from apps.notifications.views import inbox, preferences
from apps.notifications.webhook_urls import webhook_paths

app_name = "notifications"

urlpatterns = [
    path("", inbox.notification_list, name="notification-list"),
    path("bell/", inbox.bell, name="bell"),
    path("read/", inbox.notification_read_all, name="notification-read-all"),
    path("preferences/", preferences.preferences, name="preferences"),
    path("<uuid:notification_id>/open/", inbox.notification_open, name="notification-open"),
    path("<uuid:notification_id>/read/", inbox.notification_read, name="notification-read"),
    *webhook_paths,
]
