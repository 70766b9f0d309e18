from apps.organizations.forms.members import InvitationForm, RoleForm
from apps.organizations.forms.organizations import (
    AddressCheckForm,
    NewOrganizationForm,
    OrganizationForm,
    TransferForm,
)
from apps.organizations.forms.tokens import TokenForm

__all__ = [
    "AddressCheckForm",
    "InvitationForm",
    "NewOrganizationForm",
    "OrganizationForm",
    "RoleForm",
    "TokenForm",
    "TransferForm",
]
