from __future__ import annotations

from functools import partial
from uuid import UUID

from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from apps.accounts import queries, services
from apps.accounts.adapter import wait_s
from apps.accounts.errors import TooManyTries
from apps.accounts.forms import ProfileForm
from apps.accounts.jwt import families
from apps.accounts.models import Session, User
from apps.core import time_zones
from apps.core.formatting import format_wait
from apps.core.forms import submit
from apps.core.http import Request
from apps.core.refusals import refusal


@login_required
def profile(request: Request) -> HttpResponse:
    form = ProfileForm(request.POST or None, instance=User.objects.get(pk=request.user.pk))
    if request.method == "POST":
        saved = submit(form, partial(services.edit_profile, request.user))
        if saved:
            messages.success(request, "Your profile is saved.")
            return redirect("accounts:profile")
    context = {"form": form, "zones": time_zones.offered(timezone.now())}
    return render(request, "accounts/profile.html", context, status=422 if form.errors else 200)


@login_required
@require_POST
def time_zone(request: Request) -> HttpResponse:
    """Take the zone that the browser says, and show the page again in it."""
    services.choose_time_zone(request.user, request.POST.get("time_zone", ""))
    messages.success(request, "Your time zone is saved.")
    if not request.htmx:
        return redirect("accounts:profile")
    response = HttpResponse(status=204)
    response["HX-Refresh"] = "true"
    return response


@login_required
@require_safe
def session_list(request: Request) -> HttpResponse:
    context = {
        "browsers": queries.browsers_of(request.user, request.session.session_key),
        "programs": families.families_of(request.user),
    }
    return render(request, "accounts/session_list.html", context)


@login_required
@require_POST
def session_end(request: Request, session_id: UUID) -> HttpResponse:
    services.end_session(get_object_or_404(Session, id=session_id, user=request.user))
    messages.success(request, "That browser is logged out.")
    return redirect("accounts:session-list")


@login_required
@require_POST
def program_end(request: Request, family_id: UUID) -> HttpResponse:
    families.revoke_family(get_object_or_404(families.families_of(request.user), pk=family_id), "ended_by_person")
    messages.success(request, "That program is logged out.")
    return redirect("accounts:session-list")


@login_required
@require_POST
def session_end_all(request: Request) -> HttpResponse:
    """Every other browser, or with `scope=all` this one too."""
    if request.POST.get("scope") == "all":
        services.end_sessions(request.user)
        logout(request)
        return redirect("account_login")
    ended = services.end_sessions(request.user, keep=request.session.session_key)
    messages.success(request, f"Logged out of {ended} other browser{'' if ended == 1 else 's'}.")
    return redirect("accounts:session-list")


LIMITED = {
    "account_reauthenticate": "reauthenticate",
    "account_change_password": "change_password",
    "account_email": "manage_email",
}


def too_many_requests(request: Request) -> HttpResponse:
    """allauth's `handler429`: says how long to wait."""
    match = request.resolver_match
    seconds = wait_s(request, LIMITED.get(match.view_name if match else "", ""))
    response = refusal(request, TooManyTries(wait=format_wait(seconds)))
    response["Retry-After"] = str(seconds)
    return response
