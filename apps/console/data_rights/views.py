from __future__ import annotations

from uuid import UUID

from allauth.account.decorators import reauthentication_required
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from apps.console.data_rights import deletion, exports
from apps.console.data_rights.forms import DeletionForm
from apps.console.data_rights.models import DataExport
from apps.core import http, tenancy
from apps.core.forms import submit
from apps.core.http import Request
from apps.organizations import queries as organizations
from apps.organizations.models import DELETION_HOLD

EXPORTS_SHOWN = 10


@http.page("organization.export", methods=["GET", "HEAD"])
def data(request: Request) -> HttpResponse:
    rows = DataExport.objects.select_related("job").order_by("-id")[:EXPORTS_SHOWN]
    running = next((row for row in rows if not row.ready_at and not row.job.is_finished), None)
    context = {
        "exports": rows,
        "running": running,
        "kept_days": exports.KEPT_FOR.days,
        "hold_days": DELETION_HOLD.days,
    }
    return render(request, "console/data_rights.html", context)


@http.page("organization.export", methods=["POST"])
def export_create(request: Request) -> HttpResponse:
    exports.start_export(by=request.actor)
    return http.redirect(request, http.link(request.organization, "data_rights:data"))


@http.page("organization.export", methods=["GET"])
def export_file(request: Request, export_id: UUID) -> HttpResponseBase:
    export = get_object_or_404(DataExport.objects.select_related("job", "organization"), pk=export_id)
    return exports.download_export(export, by=request.actor)


@http.page("organization.delete")
@reauthentication_required
def organization_delete(request: Request) -> HttpResponse:
    """Closes the organization once an owner, who has just signed in again, types its name."""
    form = DeletionForm(request.POST or None, organization=request.organization)
    if request.method == "POST":
        closed = submit(form, lambda confirmation: _close(request, confirmation))
        if closed:
            # Its own pages are closed from now on; this one says so, and how to open it again.
            return http.redirect(request, http.link(closed, "console:home"))
    context = {"form": form, "hold_days": DELETION_HOLD.days}
    return render(request, "console/data_delete.html", context, status=422 if form.errors else 200)


def _close(request: Request, confirmation: str) -> object:
    return deletion.close_organization(request.organization, confirmation, by=request.actor)


@login_required
@require_POST
def reopen(request: Request, slug: str) -> HttpResponse:
    """Takes the deletion back, from outside, because a closed organization lets nobody in."""
    membership = organizations.membership_in(request.user, slug)
    by = organizations.actor_for_member(membership, request.user, request, even_closed=True)
    by.require("organization.delete")
    with tenancy.scope(membership.organization_id):
        failed = deletion.reopen_organization(membership.organization, by=by)
    messages.success(request, f"{membership.organization.name} is open again. Nothing was erased.")
    if failed:
        messages.warning(request, f"These deployments could not be started; start them by hand: {', '.join(failed)}.")
    return redirect(http.link(membership.organization, "console:home"))
