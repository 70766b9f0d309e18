from __future__ import annotations

from functools import partial
from uuid import UUID

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.console.data_rights import deletion
from apps.console.data_rights.models import ClosedOrganization, ErasureReceipt
from apps.core.actors import Actor
from apps.core.admin import ConsoleAdmin
from apps.organizations.models import Organization


@admin.register(ClosedOrganization)
class ClosedOrganizationAdmin(ConsoleAdmin):
    """Organizations that wait for their erasure. The operator may open one again, as its owners may."""

    list_display = ["name", "slug", "deletion_requested_at", "erased_after", "days_left"]
    search_fields = ["name", "slug"]
    ordering = ["deletion_requested_at"]
    actions = ["reopen"]

    def tenant_of(self, row: Organization) -> UUID:
        return row.pk

    @admin.action(description="Reopen")
    def reopen(self, request: HttpRequest, rows: QuerySet[ClosedOrganization]) -> None:
        self.each(request, rows, partial(self._reopen, request))

    def _reopen(self, request: HttpRequest, row: Organization, *, by: Actor) -> None:
        if failed := deletion.reopen_organization(row, by=by):
            names = ", ".join(failed)
            self.message_user(request, f"{row}: start these deployments by hand: {names}.", messages.WARNING)


@admin.register(ErasureReceipt)
class ErasureReceiptAdmin(ConsoleAdmin):
    """What was erased, when, and how much; with a problem as long as something was left."""

    list_display = [
        "organization_id",
        "requested_at",
        "begun_at",
        "erased_at",
        "row_count",
        "file_count",
        "file_bytes",
        "problem",
    ]
    search_fields = ["organization_id", "name_hash"]
    exclude = ["sealed_recipients"]
