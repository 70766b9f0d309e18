from __future__ import annotations

from functools import partial
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render

from apps.core import http
from apps.core.forms import submit
from apps.core.http import Request
from apps.organizations import services
from apps.organizations.enums import Role
from apps.organizations.forms import MemberForm, OrganizationForm, TokenForm
from apps.organizations.models import ApiToken, Membership
from apps.organizations.permissions import TABLE


@http.page("organization.read")
def settings(request: Request) -> HttpResponse:
    form = OrganizationForm(request.POST or None, instance=request.organization)
    if request.method == "POST":
        request.actor.require("organization.write")
        if form.is_valid():
            request.organization.refresh_from_db()
            services.rename_organization(request.organization, form.cleaned_data["name"], by=request.actor)
            return http.redirect(request, http.link(request.organization, "organizations:settings"))
    status = 422 if form.errors else 200
    return render(request, "organizations/settings.html", {"form": form}, status=status)


@http.page("members.read")
def member_list(request: Request) -> HttpResponse:
    form = MemberForm(request.POST or None)
    if request.method == "POST":
        request.actor.require("members.write")
        if submit(form, partial(services.add_member, by=request.actor)):
            return http.redirect(request, http.link(request.organization, "organizations:member-list"))
    context = {
        "form": form,
        "members": Membership.objects.select_related("user").order_by("created_at"),
        "roles": Role.choices,
        "table": [(permission, [role in roles for role in Role]) for permission, roles in TABLE.items()],
    }
    return render(request, "organizations/member_list.html", context, status=422 if form.errors else 200)


@http.page("members.write", methods=["POST"])
def member_role(request: Request, membership_id: UUID) -> HttpResponse:
    role = request.POST.get("role", "")
    membership = get_object_or_404(Membership, pk=membership_id)
    if role in Role.values:
        services.change_role(membership, role, by=request.actor)
    return http.redirect(request, http.link(request.organization, "organizations:member-list"))


@http.page("members.write", methods=["POST"])
def member_remove(request: Request, membership_id: UUID) -> HttpResponse:
    services.remove_member(get_object_or_404(Membership, pk=membership_id), by=request.actor)
    return http.redirect(request, http.link(request.organization, "organizations:member-list"))


@http.page("tokens.read")
def token_list(request: Request) -> HttpResponse:
    issued = None
    form = TokenForm(request.POST or None, actor=request.actor)
    if request.method == "POST":
        request.actor.require("tokens.write")
        issued = submit(form, partial(services.create_token, by=request.actor))
    context = {
        "form": TokenForm(actor=request.actor) if issued else form,
        "issued": issued[1] if issued else "",
        "tokens": ApiToken.objects.select_related("membership__user").order_by("-id"),
    }
    return render(request, "organizations/token_list.html", context, status=422 if form.errors else 200)


@http.page("tokens.write", methods=["POST"])
def token_revoke(request: Request, token_id: UUID) -> HttpResponse:
    services.revoke_token(get_object_or_404(ApiToken, pk=token_id), by=request.actor)
    return http.redirect(request, http.link(request.organization, "organizations:token-list"))
