from __future__ import annotations

from functools import partial
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from apps.core import http
from apps.core.forms import submit, submit_edit
from apps.core.http import Request, actor_for_person
from apps.organizations import queries, services
from apps.organizations.forms import AddressCheckForm, OrganizationForm, TransferForm
from apps.organizations.models import Membership


@http.page("organization.read", post="organization.write")
def organization_settings(request: Request) -> HttpResponse:
    form = OrganizationForm(request.POST or None, row=request.organization)
    if request.method == "POST":
        slug = request.organization.slug
        changed = submit_edit(form, partial(services.update_organization, request.organization, by=request.actor))
        if changed:
            _tell_saved(request, moved=changed.slug != slug)
            return http.redirect(request, http.link(changed, "organizations:settings"))
    return _settings_page(request, form=form)


@http.page("organization.transfer", methods=["POST"])
def transfer(request: Request) -> HttpResponse:
    form = _transfer_form(request, request.POST)
    if submit(form, lambda member: services.transfer_ownership(member, by=request.actor)):
        messages.success(request, "The organization has its new owner. You are an admin now.")
        return http.redirect(request, http.link(request.organization, "organizations:settings"))
    return _settings_page(request, transfer_form=form)


@http.page("organization.leave", methods=["POST"])
def leave(request: Request) -> HttpResponse:
    services.leave_organization(by=request.actor)
    messages.success(request, f"You left {request.organization.name}.")
    return http.redirect(request, "/")


@login_required
@require_POST
def leave_unentered(request: Request, slug: str) -> HttpResponse:
    """Also for whom the organization lets in no more, since it requires two-factor: leaving gives nothing away."""
    membership = queries.membership_in(request.user, slug)
    services.leave_from_outside(membership, by=actor_for_person(request.user, request))
    messages.success(request, f"You left {membership.organization.name}.")
    return http.redirect(request, "/")


@login_required
@require_GET
def address_check(request: Request) -> HttpResponse:
    """Whether the typed address is free, as a fragment beside its field."""
    form = AddressCheckForm(request.GET)
    address = form.address if form.is_valid() else ""
    is_own = address == request.GET.get("current", "")
    context = {
        "address": "" if is_own else address,
        "is_free": queries.is_free(address),
        "is_chosen": bool(request.GET.get("slug")),
        "errors": form.errors.get("slug"),
        "public_url": settings.PUBLIC_URL,
    }
    return http.fragment(request, "organizations/address_check.html", context)


def _settings_page(request: Request, **forms: object) -> HttpResponse:
    request.organization.refresh_from_db()
    context = {
        "form": OrganizationForm(row=request.organization),
        "transfer_form": _transfer_form(request),
        "is_only_owner": queries.is_only_owner(request.membership),
        **forms,
    }
    wrong = any(getattr(form, "errors", None) for form in forms.values())
    return render(request, "organizations/settings.html", context, status=422 if wrong else 200)


def _transfer_form(request: Request, data: Any = None) -> TransferForm:
    others = Membership.objects.select_related("user").exclude(pk=request.membership.pk)
    heirs = others.filter(user__is_active=True).order_by("user__email")
    return TransferForm(data, organization=request.organization, members=heirs)


def _tell_saved(request: Request, *, moved: bool) -> None:
    if moved:
        messages.warning(request, "The address changed. Bookmarks and links with the old one do not work any more.")
    else:
        messages.success(request, "Saved.")
