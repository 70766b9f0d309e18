"""The link of an invitation, opened by whoever holds it."""

from __future__ import annotations

from allauth.account.adapter import get_adapter
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from apps.core import http
from apps.core.http import Request, actor_for_person
from apps.organizations import errors, invitations, services


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def invitation_open(request: Request, token: str) -> HttpResponse:
    """Shows what is offered; only the button accepts it, because mail scanners follow links."""
    invitation = invitations.shown(token)
    if not request.user.is_authenticated:
        # Whoever signs up by this link reads that mailbox.
        get_adapter().stash_verified_email(request, invitation.email)
        return render(request, "organizations/invitation_welcome.html", {"invitation": invitation})
    try:
        if request.method == "POST":
            return _accept(request, token)
        invitations.require_acceptable(invitation, request.user)
    except errors.InvitationForAnother as error:
        context = {"error": error, "invitation": invitation}
        return render(request, "organizations/invitation_for_another.html", context, status=error.status)
    return render(request, "organizations/invitation_accept.html", {"invitation": invitation})


def _accept(request: Request, token: str) -> HttpResponse:
    by = actor_for_person(request.user, request)
    membership = services.accept_invitation(token, request.user, by=by)
    return http.redirect(request, http.link(membership.organization, "console:home"))
