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
from apps.organizations.forms import MemberForm
from apps.organizations.models import Membership
from apps.organizations.permissions import TABLE


@http.page("members.read", post="members.write")
def member_list(request: Request) -> HttpResponse:
    form = MemberForm(request.POST or None)
    if request.method == "POST" and submit(form, partial(services.add_member, by=request.actor)):
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
