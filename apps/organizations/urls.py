from django.urls import path

from apps.organizations.views import members, organizations, projects, tokens

app_name = "organizations"

urlpatterns = [
    path("", organizations.organization_settings, name="settings"),
    path("transfer/", organizations.transfer, name="transfer"),
    path("leave/", organizations.leave, name="leave"),
    path("members/", members.member_list, name="member-list"),
    path("members/<uuid:membership_id>/role/", members.member_role, name="member-role"),
    path("members/<uuid:membership_id>/remove/", members.member_remove, name="member-remove"),
    path("invitations/", members.invitation_create, name="invitation-create"),
    path("invitations/<uuid:invitation_id>/resend/", members.invitation_resend, name="invitation-resend"),
    path("invitations/<uuid:invitation_id>/revoke/", members.invitation_revoke, name="invitation-revoke"),
    path("projects/", projects.project_list, name="project-list"),
    path("projects/new/", projects.project_create, name="project-create"),
    path("projects/<uuid:project_id>/", projects.project_detail, name="project-detail"),
    path("projects/<uuid:project_id>/edit/", projects.project_edit, name="project-edit"),
    path("projects/<uuid:project_id>/delete/", projects.project_delete, name="project-delete"),
    path("tokens/", tokens.token_list, name="token-list"),
    path("tokens/new/", tokens.token_create, name="token-create"),
    path("tokens/<uuid:token_id>/", tokens.token_detail, name="token-detail"),
    path("tokens/<uuid:token_id>/edit/", tokens.token_edit, name="token-edit"),
    path("tokens/<uuid:token_id>/rotate/", tokens.token_rotate, name="token-rotate"),
    path("tokens/<uuid:token_id>/revoke/", tokens.token_revoke, name="token-revoke"),
]
