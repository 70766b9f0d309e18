"""What the console composes of several apps registers itself here."""

from apps.console.tenants import admin

__all__ = ["admin"]
