"""What the console composes of several apps registers itself here."""

from apps.console.data_rights.admin import ClosedOrganizationAdmin, ErasureReceiptAdmin
from apps.console.flags.admin import FeatureFlagAdmin
from apps.console.guards.admin import GuardAdmin
from apps.console.tenants.admin import TenantAdmin
from apps.console.work.admin import OrganizationLoadAdmin

__all__ = [
    "ClosedOrganizationAdmin",
    "ErasureReceiptAdmin",
    "FeatureFlagAdmin",
    "GuardAdmin",
    "OrganizationLoadAdmin",
    "TenantAdmin",
]
