from django.urls import path

from apps.organizations import views

app_name = "organizations"

urlpatterns = [
    path("", views.settings, name="settings"),
    path("members/", views.member_list, name="member-list"),
    path("members/<uuid:membership_id>/role/", views.member_role, name="member-role"),
    path("members/<uuid:membership_id>/remove/", views.member_remove, name="member-remove"),
    path("tokens/", views.token_list, name="token-list"),
    path("tokens/<uuid:token_id>/revoke/", views.token_revoke, name="token-revoke"),
]
