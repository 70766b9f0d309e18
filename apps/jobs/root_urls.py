"""Addresses outside an organization."""

from django.urls import path

from apps.jobs.client import views

app_name = "client"

urlpatterns = [
    path("clients/python/modelyard.py", views.client_source, name="source"),
    path("clients/python/<str:name>", views.client_wheel, name="wheel"),
]
