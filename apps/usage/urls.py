from django.urls import path

from apps.usage import views

app_name = "usage"

urlpatterns = [
    path("", views.usage, name="usage"),
    path("export/", views.usage_export, name="usage-export"),
]
