from __future__ import annotations

from functools import partial
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render

from apps.accounts import second_factor
from apps.core import http, paging
from apps.core.forms import submit
from apps.core.http import Request
from apps.organizations import queries, role_table, services
from apps.organizations.enums import Role
from apps.organizations.forms import InvitationForm, RoleForm
from apps.organizations.models import Invitation, Membership


@http.page("members.read", methods=["GET", "HEAD"])
def member_list(request: Request) -> HttpResponse:
    return _members_page(request, InvitationForm(actor=request.actor))


@http.page("members.write", methods=["POST"])
def member_role(request: Request, membership_id: UUID) -> HttpResponse:
    membership = get_object_or_404(Membership, pk=membership_id)
    form = RoleForm(request.POST)
    if changed := submit(form, partial(services.change_role, membership, by=request.actor)):
        return _to_members(request, f"{changed.user.email} has the role {changed.get_role_display()} now.")
    return _members_page(request, InvitationForm(actor=request.actor), role_form=form, member=membership)


@http.page("members.write", methods=["POST"])
def member_remove(request: Request, membership_id: UUID) -> HttpResponse:
    membership = get_object_or_404(Membership.objects.select_related("user"), pk=membership_id)
    services.remove_member(membership, by=request.actor)
    return _to_members(request, f"{membership.user.email} was removed.")


@http.page("members.write", methods=["POST"])
def invitation_create(request: Request) -> HttpResponse:
    form = InvitationForm(request.POST, actor=request.actor)
    if invitation := submit(form, partial(services.invite_member, by=request.actor)):
        return _to_members(request, f"The invitation was sent to {invitation.email}.")
    return _members_page(request, form)


@http.page("members.write", methods=["POST"])
def invitation_resend(request: Request, invitation_id: UUID) -> HttpResponse:
    invitation = services.resend_invitation(get_object_or_404(Invitation, pk=invitation_id), by=request.actor)
    return _to_members(request, f"A new link was sent to {invitation.email}. The old one stopped working.")


@http.page("members.write", methods=["POST"])
def invitation_revoke(request: Request, invitation_id: UUID) -> HttpResponse:
    invitation = services.revoke_invitation(get_object_or_404(Invitation, pk=invitation_id), by=request.actor)
    return _to_members(request, f"The invitation of {invitation.email} was revoked.")


def _to_members(request: Request, done: str) -> HttpResponse:
    """The list of members, which tells what was done."""
    messages.success(request, done)
    return http.redirect(request, http.link(request.organization, "organizations:member-list"))


def _members_page(request: Request, form: InvitationForm, **refused: object) -> HttpResponse:
    invitations = Invitation.objects.select_related("invited_by__user")
    members = list(Membership.objects.select_related("user").order_by("created_at"))
    context = {
        "form": form,
        "members": members,
        "shows_second_factor": request.actor.can("organization.write"),
        "with_second_factor": second_factor.holders(member.user_id for member in members),
        "page": paging.newest_first(invitations, request.GET.get("cursor", "")),
        "roles": Role.choices,
        "own_roles": [value for value, _ in queries.roles_within(request.actor)],
        "areas": role_table.areas(),
        "role_words": role_table.roles(),
        **refused,
    }
    return render(
        request, "organizations/member_list.html", context, status=200 if not (form.errors or refused) else 422
    )
