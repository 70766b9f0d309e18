"""Addresses outside an organization."""

from django.urls import path

from apps.console import views

app_name = "start"

urlpatterns = [
    path("", views.start, name="start"),
    path("welcome/", views.welcome, name="welcome"),
    path("acting/end/", views.acting_end, name="acting-end"),
    path("accounts/delete/", views.account_delete, name="account-delete"),
]
