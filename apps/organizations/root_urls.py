"""Addresses about organizations that are outside of each of them."""

from django.urls import path

from apps.organizations.views import invitations, organizations

app_name = "invitations"

urlpatterns = [
    path("organizations/address/", organizations.address_check, name="address-check"),
    path("organizations/<slug:slug>/leave/", organizations.leave_unentered, name="leave"),
    path("invitations/<str:token>/", invitations.invitation_open, name="invitation-open"),
]
