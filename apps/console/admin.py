"""What the console composes of several apps registers itself here."""

from apps.console.flags.admin import FeatureFlagAdmin
from apps.console.tenants.admin import TenantAdmin

__all__ = ["FeatureFlagAdmin", "TenantAdmin"]
