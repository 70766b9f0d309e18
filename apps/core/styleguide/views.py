"""The catalogue of components, mounted where the setting STYLEGUIDE is on. It shows samples and reads no data."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone

from apps.core import http
from apps.core.errors import DomainError
from apps.core.http import Request
from apps.core.styleguide import samples
from apps.core.styleguide.forms import SampleUpload


class SampleRefusal(DomainError):
    code = "sample_refusal"
    status = 409
    detail = "The dataset is being used by a run. Cancel the run first."


def catalogue(request: Request) -> HttpResponse:
    """Every component in each of its states, inside the shell."""
    request.organization = samples.ACME
    request.actor = samples.VISITOR
    return render(request, "styleguide/catalogue.html", samples.catalogue(timezone.now()))


def card(request: Request) -> HttpResponse:
    """The page of people who are not signed in."""
    return render(request, "styleguide/card.html", samples.forms())


def toast(request: Request) -> HttpResponse:
    return http.toast(HttpResponse(status=204), "The run was cancelled.")


def refusal(request: Request) -> HttpResponse:
    """What a page shows when a service refuses."""
    raise SampleRefusal


def upload(request: Request) -> HttpResponse:
    """Takes a file and keeps nothing of it; without one the form comes back with its error."""
    form = SampleUpload(request.POST, request.FILES)
    if not form.is_valid():
        return http.fragment(request, "styleguide/upload.html", {"upload": form}, status=422)
    response = http.fragment(request, "styleguide/upload.html", {"upload": SampleUpload()})
    return http.toast(response, f"{form.cleaned_data['file'].name} arrived.")


def error(request: Request, status: int) -> HttpResponse:
    """An error page, answered with its own status."""
    context = {"status": status, "detail": "", "request_id": getattr(request, "id", "")}
    return render(request, "core/error.html", context, status=status)
