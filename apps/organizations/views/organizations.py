from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render

from apps.core import http
from apps.core.http import Request
from apps.organizations import services
from apps.organizations.forms import OrganizationForm


@http.page("organization.read", post="organization.write")
def settings(request: Request) -> HttpResponse:
    form = OrganizationForm(request.POST or None, instance=request.organization)
    if request.method == "POST" and form.is_valid():
        request.organization.refresh_from_db()
        services.rename_organization(request.organization, form.cleaned_data["name"], by=request.actor)
        return http.redirect(request, http.link(request.organization, "organizations:settings"))
    status = 422 if form.errors else 200
    return render(request, "organizations/settings.html", {"form": form}, status=status)
