"""The operator's console reads across organizations, as its own database role, and changes rows by services only."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast
from uuid import UUID

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.db.models import ForeignKey, Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from unfold.admin import ModelAdmin

from apps.core import tenancy
from apps.core.actors import Actor
from apps.core.errors import DomainError
from apps.core.http import Request, actor_for_operator


def references(model: type[Model], depth: int = 2) -> list[str]:
    """The foreign keys of `model`, and theirs, as `select_related` takes them."""
    found = []
    for field in model._meta.fields:
        if isinstance(field, ForeignKey):
            found.append(field.name)
            if depth > 1:
                found += [f"{field.name}__{name}" for name in references(field.related_model, depth - 1)]
    return found


REASON_LENGTH = 200


def reason_given(request: HttpRequest) -> str:
    """What the operator wrote into `admin/reason.html`."""
    return " ".join(request.POST.get("reason", "").split())[:REASON_LENGTH]


def call_labels_by_what_they_name(model: type[Model]) -> None:
    """A column such as `changed_by_label` is headed "Changed by", unless the model itself says otherwise."""
    for field in model._meta.fields:
        if field.name.endswith("_label") and field._verbose_name is None:  # type: ignore[attr-defined]
            field.verbose_name = field.name.removesuffix("_label").replace("_", " ")


class ConsoleAdmin(ModelAdmin):
    """A read-only view over every tenant's rows; a subclass adds actions that call services."""

    list_per_page = 50
    show_full_result_count = False

    def __init__(self, model: type[Model], admin_site: AdminSite) -> None:
        super().__init__(model, admin_site)
        call_labels_by_what_they_name(model)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = self.model.unscoped.using("console") if hasattr(self.model, "unscoped") else self.model.objects.all()
        # What a row and its references are called is read with it: outside a tenant nothing can be read later.
        return rows.select_related(*references(self.model)).order_by(*self.get_ordering(request) or ["-pk"])

    def operator(self, request: HttpRequest) -> Actor:
        """The operator as the one who acts in a tenant, for services and the tenant's own trail."""
        return actor_for_operator(request.user, cast("Request", request))

    def tenant_of(self, row: Any) -> UUID:
        return row.organization_id

    def each(self, request: HttpRequest, rows: QuerySet[Any], service: Callable[..., object]) -> None:
        """Do it to each row in its own tenant, and tell the operator which were refused."""
        for row in rows:
            with tenancy.scope(self.tenant_of(row)):
                self.attempt(request, row, partial(service, type(row).objects.get(pk=row.pk)))

    def attempt(self, request: HttpRequest, row: Any, service: Callable[..., object]) -> None:
        """Do it to a row, and tell the operator if that was refused."""
        try:
            service(by=self.operator(request))
        except DomainError as error:
            self.message_user(request, f"{row}: {error.message}", messages.WARNING)

    def ask(self, request: HttpRequest, template: str, title: str, **context: Any) -> HttpResponse:
        """The page that asks before an action is carried out; `template` extends `admin/ask.html`."""
        page = {**self.admin_site.each_context(request), "opts": self.model._meta, "title": title, **context}
        return render(request, template, page)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        # Read-only fields are shown even if they are excluded, so a hash has to be left out here too.
        return [field.name for field in self.model._meta.fields if field.name not in (self.exclude or ())]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
