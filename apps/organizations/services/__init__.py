"""What people can do with organizations, members and tokens: one module for each noun."""

from apps.organizations.services.members import add_member, change_role, remove_member
from apps.organizations.services.organizations import create_organization, rename_organization
from apps.organizations.services.projects import create_project, delete_project, update_project
from apps.organizations.services.tokens import (
    admit_token,
    create_token,
    edit_token,
    revoke_token,
    rotate_token,
)

__all__ = [
    "add_member",
    "admit_token",
    "change_role",
    "create_organization",
    "create_project",
    "create_token",
    "delete_project",
    "edit_token",
    "remove_member",
    "rename_organization",
    "revoke_token",
    "rotate_token",
    "update_project",
]
