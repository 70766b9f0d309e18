from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render

from apps.core import http, paging
from apps.core.http import Request
from apps.notifications import queries, services
from apps.notifications.catalogue import EVENTS
from apps.notifications.models import Notification


@http.page("notifications.read", methods=["GET", "HEAD"])
def notification_list(request: Request) -> HttpResponse:
    user_id = request.actor.user_id
    rows = queries.filtered_inbox(user_id, request.GET)
    context = {
        "page": paging.newest_first(rows, request.GET.get("cursor", "")),
        "events": queries.event_counts(user_id),
        "shows": [(queries.UNREAD, "Unread", queries.unread_count(user_id))],
    }
    return render(request, "notifications/notification_list.html", context)


@http.page("notifications.read", methods=["GET", "HEAD"])
def bell(request: Request) -> HttpResponse:
    return http.fragment(request, "notifications/bell.html", {})


@http.page("notifications.write", methods=["POST"])
def notification_open(request: Request, notification_id: UUID) -> HttpResponse:
    """Mark it read, and go to what it is about."""
    row = services.mark_read(_own(request, notification_id), by=request.actor)
    return http.redirect(request, EVENTS[row.event].address(request.organization, row.subject_id))


@http.page("notifications.write", methods=["POST"])
def notification_read(request: Request, notification_id: UUID) -> HttpResponse:
    services.mark_read(_own(request, notification_id), by=request.actor)
    return _back(request)


@http.page("notifications.write", methods=["POST"])
def notification_read_all(request: Request) -> HttpResponse:
    services.mark_all_read(by=request.actor)
    return _back(request)


def _back(request: Request) -> HttpResponse:
    """To the list as it was filtered and paged."""
    url = http.link(request.organization, "notifications:notification-list")
    return http.redirect(request, f"{url}?{request.GET.urlencode()}" if request.GET else url)


def _own(request: Request, notification_id: UUID) -> Notification:
    return get_object_or_404(Notification.objects.of(request.actor.user_id), pk=notification_id)
