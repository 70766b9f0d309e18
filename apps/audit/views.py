from __future__ import annotations

from functools import partial
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.utils import timezone

from apps.audit import active, exports, queries, services
from apps.audit.forms import RetentionForm, TrailForm
from apps.audit.models import AuditEntry
from apps.core import http, paging, time_ranges
from apps.core.errors import NotFound
from apps.core.forms import submit
from apps.core.http import Request

TIME_OPTIONS = [(one.name, one.label, None) for one in time_ranges.RANGES.values()]


@http.page("audit.read", methods=["GET", "HEAD"])
def entry_list(request: Request) -> HttpResponse:
    settled, now = active.settled(request.GET), timezone.now()
    if settled != request.GET:
        return HttpResponseRedirect(f"?{settled.urlencode()}")
    choices = queries.choices(queries.in_range(request.GET, now))
    page = paging.newest_first(queries.filtered(request.GET, now), request.GET.get("cursor", ""))
    filters = active.active(request.GET, page.rows, choices.actors)
    context = {
        "page": page,
        "form": TrailForm(request.GET, choices),
        "choices": choices,
        "time_options": TIME_OPTIONS,
        "filters": filters,
        "to_blame": [] if page.rows else active.to_blame(request.GET, filters, now),
        "kept": queries.retention_of(request.organization),
        "newest_id": queries.newest_id(page.rows, now),
    }
    return render(request, "audit/entry_list.html", context)


@http.page("audit.read", methods=["GET", "HEAD"])
def entry_news(request: Request) -> HttpResponse:
    """A fragment for the trail's page: how many entries came after the one that `since` names."""
    count = queries.count_since(request.GET, request.GET.get("since", ""), timezone.now())
    return http.fragment(request, "audit/entry_news.html", {"count": count, "most": queries.MOST_NEWS})


@http.page("audit.read", methods=["GET", "HEAD"])
def entry_detail(request: Request, entry_id: UUID) -> HttpResponse:
    entry = get_object_or_404(AuditEntry, pk=entry_id)
    context = {
        "entry": entry,
        "subject_url": queries.subject_url(entry, request.organization),
        "jobs": queries.jobs_of_request(entry) if request.actor.can("jobs.read") else [],
    }
    return render(request, "audit/entry_detail.html", context)


@http.page("audit.read", methods=["GET"])
def entry_export(request: Request) -> HttpResponseBase:
    """The filtered trail as CSV that is safe to open in a spreadsheet, or as one JSON object a line."""
    kind = request.GET.get("as", "csv")
    if kind not in exports.FORMATS:
        raise NotFound
    line = services.note_export(request.organization, kind, active.named(request.GET), by=request.actor)
    return exports.download(queries.filtered(request.GET, timezone.now()).filter(id__lt=line.pk), kind)


@http.page("audit.read", post="audit.write")
def retention(request: Request) -> HttpResponse:
    kept = queries.retention_of(request.organization)
    form = RetentionForm(request.POST or None, retention=kept)
    if request.method == "POST":
        saved = submit(form, partial(services.set_retention, request.organization, by=request.actor))
        if saved:
            messages.success(request, "Saved.")
            return http.redirect(request, http.link(request.organization, "audit:retention"))
    return render(request, "audit/retention.html", {"form": form, "kept": kept}, status=422 if form.errors else 200)
