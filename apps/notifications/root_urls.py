"""Addresses about mails that are outside of each organization."""

from django.urls import path

from apps.notifications.views import preferences

app_name = "unsubscribe"

urlpatterns = [path("notifications/unsubscribe/<str:token>/", preferences.unsubscribe, name="unsubscribe")]
