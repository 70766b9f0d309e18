from apps.organizations.api.views.invitations import InvitationApi
from apps.organizations.api.views.members import MemberApi
from apps.organizations.api.views.organizations import MeApi, OrganizationApi, OwnershipApi, RoleApi
from apps.organizations.api.views.tokens import TokenApi

__all__ = ["InvitationApi", "MeApi", "MemberApi", "OrganizationApi", "OwnershipApi", "RoleApi", "TokenApi"]
