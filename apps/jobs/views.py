from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render

from apps.core import http, paging
from apps.core.http import Request
from apps.jobs import queries, services
from apps.jobs.models import Job

LOG_LINES_SHOWN = 500


@http.page("jobs.read", methods=["GET", "HEAD"])
def job_list(request: Request) -> HttpResponse:
    page = paging.newest_first(queries.filtered(request.GET), request.GET.get("cursor", ""))
    context = {"page": page, "statuses": queries.status_counts(), "kinds": queries.kind_counts()}
    return render(request, "jobs/job_list.html", context)


@http.page("jobs.read", methods=["GET", "HEAD"])
def job_detail(request: Request, job_id: UUID) -> HttpResponse:
    job = get_object_or_404(Job, pk=job_id)
    lines = list(job.log_lines.order_by("-id")[:LOG_LINES_SHOWN])[::-1]
    context = {"job": job, "lines": lines, "transitions": job.transitions.all()}
    return render(request, "jobs/job_detail.html", context)


@http.page("jobs.write", methods=["POST"])
def job_cancel(request: Request, job_id: UUID) -> HttpResponse:
    job = services.cancel_job(get_object_or_404(Job, pk=job_id), by=request.actor)
    return http.redirect(request, http.link(request.organization, "jobs:job-detail", job.pk))


@http.page("jobs.write", methods=["POST"])
def job_retry(request: Request, job_id: UUID) -> HttpResponse:
    job = services.retry_job(get_object_or_404(Job, pk=job_id), by=request.actor)
    return http.redirect(request, http.link(request.organization, "jobs:job-detail", job.pk))
