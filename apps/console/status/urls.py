from django.urls import path

from apps.console.status import views

app_name = "status"

urlpatterns = [
    path("status", views.status, name="status"),
    path("status.json", views.status_json, name="status-json"),
]
