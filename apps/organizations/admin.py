from django.contrib import admin

from apps.core.admin import ConsoleAdmin
from apps.organizations.models import ApiToken, Membership, Organization


@admin.register(Organization)
class OrganizationAdmin(ConsoleAdmin):
    list_display = ["name", "slug", "created_at"]
    search_fields = ["name", "slug"]


@admin.register(Membership)
class MembershipAdmin(ConsoleAdmin):
    list_display = ["user", "organization", "role", "created_at"]
    list_filter = ["role"]
    search_fields = ["user__email", "organization__slug"]


@admin.register(ApiToken)
class ApiTokenAdmin(ConsoleAdmin):
    list_display = ["name", "organization", "scopes", "expires_at", "revoked_at", "last_used_at"]
    exclude = ["secret_hash"]
    search_fields = ["name", "organization__slug"]
