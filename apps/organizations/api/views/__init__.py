from apps.organizations.api.views.members import MemberApi
from apps.organizations.api.views.organizations import MeApi, OrganizationApi
from apps.organizations.api.views.tokens import TokenApi

__all__ = ["MeApi", "MemberApi", "OrganizationApi", "TokenApi"]
