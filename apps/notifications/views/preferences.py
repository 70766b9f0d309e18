from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from apps.core import http
from apps.core.http import Request
from apps.notifications import queries, services, unsubscribing
from apps.notifications.forms import PreferencesForm


@http.page("notifications.read", post="notifications.write")
def preferences(request: Request) -> HttpResponse:
    user_id = services.owner_of_inbox(request.actor)
    events = queries.offered_events(request.actor)
    given = request.POST if request.method == "POST" else None
    form = PreferencesForm(given, events=events, wishes=queries.wishes_of(user_id, events))
    if form.is_valid():
        services.set_preferences(form.wanted, by=request.actor)
        messages.success(request, "Your wishes are kept.")
        return http.redirect(request, http.link(request.organization, "notifications:preferences"))
    return render(request, "notifications/preferences.html", {"form": form}, status=422 if form.errors else 200)


# A mail program posts without a cookie; the signed link is the proof (RFC 8058).
@csrf_exempt
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: Request, token: str) -> HttpResponse:
    """Shows what the link stops; only a POST stops it, because mail scanners follow links."""
    subscription = unsubscribing.subscription_of(token)
    if request.method == "POST":
        services.unsubscribe(subscription)
    context = {"event": subscription.event, "is_done": request.method == "POST"}
    return render(request, "notifications/unsubscribe.html", context)
