from django.urls import path

from apps.organizations import views
from apps.organizations.views import projects

app_name = "organizations"

urlpatterns = [
    path("", views.settings, name="settings"),
    path("members/", views.member_list, name="member-list"),
    path("members/<uuid:membership_id>/role/", views.member_role, name="member-role"),
    path("members/<uuid:membership_id>/remove/", views.member_remove, name="member-remove"),
    path("projects/", projects.project_list, name="project-list"),
    path("projects/new/", projects.project_create, name="project-create"),
    path("projects/<uuid:project_id>/", projects.project_detail, name="project-detail"),
    path("projects/<uuid:project_id>/edit/", projects.project_edit, name="project-edit"),
    path("projects/<uuid:project_id>/delete/", projects.project_delete, name="project-delete"),
    path("tokens/", views.token_list, name="token-list"),
    path("tokens/<uuid:token_id>/revoke/", views.token_revoke, name="token-revoke"),
]
