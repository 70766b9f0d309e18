from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render

from apps.console import queries, services
from apps.core import http
from apps.core.forms import submit
from apps.core.http import Request
from apps.organizations import queries as organizations
from apps.organizations.forms import NewOrganizationForm
from apps.organizations.services import create_organization


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
        organization = submit(form, lambda name: create_organization(name, request.user))
        if organization:
            return redirect(http.link(organization, "console:home"))
    return render(request, "console/welcome.html", {"form": form}, status=422 if form.errors else 200)


@http.page("organization.read", methods=["GET", "HEAD"])
def home(request: Request) -> HttpResponse:
    return render(request, "console/home.html", {"overview": queries.overview()})


@http.page("deployments.write", methods=["POST"])
def sample_create(request: Request) -> HttpResponse:
    job = services.start_sample_project(by=request.actor)
    return http.redirect(request, http.link(request.organization, "jobs:job-detail", job.pk))
