from django.contrib import admin
from django.contrib.auth.models import Group
from unfold.admin import ModelAdmin

from apps.accounts.models import User

admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(ModelAdmin):
    list_display = ["email", "name", "is_staff", "is_active", "last_login", "created_at"]
    list_filter = ["is_staff", "is_active"]
    search_fields = ["email", "name"]
    fields = ["email", "name", "is_staff", "is_active", "last_login", "created_at"]
    readonly_fields = ["email", "last_login", "created_at"]

    def has_add_permission(self, request: object) -> bool:
        return False

    def has_delete_permission(self, request: object, obj: object = None) -> bool:
        return False
