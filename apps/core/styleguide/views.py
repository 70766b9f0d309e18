"""The catalogue of components, mounted where the setting STYLEGUIDE is on. It shows samples and reads no data."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from apps.core.styleguide import samples


def catalogue(request: HttpRequest) -> HttpResponse:
    """Every component in each of its states, inside the shell."""
    request.organization = samples.ACME
    request.actor = samples.VISITOR
    return render(request, "styleguide/catalogue.html", samples.catalogue(timezone.now()))


def card(request: HttpRequest) -> HttpResponse:
    """The page of people who are not signed in."""
    return render(request, "styleguide/card.html", samples.forms())


def error(request: HttpRequest, status: int) -> HttpResponse:
    """An error page, answered with its own status."""
    context = {"status": status, "detail": "", "request_id": getattr(request, "id", "")}
    return render(request, "core/error.html", context, status=status)
