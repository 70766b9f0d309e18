"""What people can do with organizations, members and tokens: one module for each noun."""

from apps.organizations.services.members import add_member, change_role, remove_member
from apps.organizations.services.organizations import create_organization, rename_organization
from apps.organizations.services.tokens import create_token, note_token_use, revoke_token

__all__ = [
    "add_member",
    "change_role",
    "create_organization",
    "create_token",
    "note_token_use",
    "remove_member",
    "rename_organization",
    "revoke_token",
]
