"""Addresses outside an organization."""

from django.urls import path

from apps.console import views
from apps.console.data_rights import views as data_rights

app_name = "start"

urlpatterns = [
    path("", views.start, name="start"),
    path("welcome/", views.welcome, name="welcome"),
    path("acting/end/", views.acting_end, name="acting-end"),
    path("organizations/<slug:slug>/reopen/", data_rights.reopen, name="reopen"),
    path("accounts/delete/", views.account_delete, name="account-delete"),
]
