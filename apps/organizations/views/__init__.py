"""Pages of the organization's settings: one module for each noun."""

from apps.organizations.views.members import member_list, member_remove, member_role
from apps.organizations.views.organizations import settings
from apps.organizations.views.tokens import token_list, token_revoke

__all__ = ["member_list", "member_remove", "member_role", "settings", "token_list", "token_revoke"]
