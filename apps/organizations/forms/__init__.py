from apps.organizations.forms.members import MemberForm
from apps.organizations.forms.organizations import NewOrganizationForm, OrganizationForm
from apps.organizations.forms.tokens import TokenForm

__all__ = ["MemberForm", "NewOrganizationForm", "OrganizationForm", "TokenForm"]
