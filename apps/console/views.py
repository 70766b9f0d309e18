from __future__ import annotations

from functools import partial

from allauth.account.decorators import reauthentication_required
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from apps.console import queries, services
from apps.core import http, tenancy
from apps.core.errors import DomainError, NotFound
from apps.core.forms import submit
from apps.core.http import Request, actor_for_operator, actor_for_person
from apps.organizations import acting
from apps.organizations import queries as organizations
from apps.organizations.errors import ConfirmationMismatch
from apps.organizations.forms import NewOrganizationForm
from apps.organizations.services import create_organization, delete_account, end_acting


@login_required
def start(request: Request) -> HttpResponse:
    """The person's first organization, or the page that founds one."""
    memberships = organizations.memberships_of(request.user)
    if not memberships:
        return redirect("admin:index" if request.user.is_staff else "start:welcome")
    return redirect(http.link(memberships[0].organization, "console:home"))


@login_required
def welcome(request: Request) -> HttpResponse:
    form = NewOrganizationForm(request.POST or None)
    if request.method == "POST":
        organization = submit(form, partial(create_organization, owner=request.user))
        if organization:
            return redirect(http.link(organization, "console:home"))
    return render(request, "console/welcome.html", {"form": form}, status=422 if form.errors else 200)


@login_required
@require_POST
def acting_end(request: Request) -> HttpResponse:
    """Ends what the operator started in the console, and goes back there."""
    session = acting.of_browser(request.session, request.user)
    if session is None:
        raise NotFound
    with tenancy.scope(session.organization_id):
        end_acting(session, by=actor_for_operator(request.user, request))
    del request.session[acting.KEY]
    return redirect("admin:organizations_membership_changelist")


@login_required
@reauthentication_required
@require_http_methods(["GET", "HEAD", "POST"])
def account_delete(request: Request) -> HttpResponse:
    """Ends the account once the person, who has just signed in again, types its address."""
    error = None
    if request.method == "POST":
        try:
            return _delete_account(request)
        except DomainError as refused:
            error = refused
    context = {"error": error, "owned_alone": organizations.owned_alone(request.user)}
    return render(request, "console/account_delete.html", context, status=error.status if error else 200)


def _delete_account(request: Request) -> HttpResponse:
    if request.POST.get("confirmation") != request.user.email:
        raise ConfirmationMismatch(name=request.user.email)
    delete_account(request.user, by=actor_for_person(request.user, request))
    logout(request)
    messages.success(request, "Your account is deleted.")
    return redirect("account_login")


@http.page("organization.read", methods=["GET", "HEAD"])
def home(request: Request) -> HttpResponse:
    return render(request, "console/home.html", {"overview": queries.overview(request.actor)})


@http.page("deployments.write", methods=["POST"])
def sample_create(request: Request) -> HttpResponse:
    job = services.start_sample_project(by=request.actor)
    return http.redirect(request, http.link(request.organization, "jobs:job-detail", job.pk))
