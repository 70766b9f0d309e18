from __future__ import annotations

import json
import re
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone

from apps.core import http, paging
from apps.core.errors import NotFound
from apps.core.formatting import format_count
from apps.core.forms import submit
from apps.core.http import Request
from apps.jobs import dead_set, examples, listing, queries, services, standing, submissions, tail, workload
from apps.jobs.enums import KIND
from apps.jobs.examples import Example
from apps.jobs.forms import JobForm
from apps.jobs.listing import Asked
from apps.jobs.models import Job
from apps.jobs.querysets import JobQuerySet

DEAD_SET_FILTERS = ("kind", "queue", "error_code", "tag", "age")
NOTHING_PICKED = "Select the jobs first."


@http.page("jobs.read", methods=["GET", "HEAD"])
def job_list(request: Request) -> HttpResponse:
    asked, now = Asked.of(request.GET), timezone.now()
    page = paging.newest_first(asked.rows(now).prefetch_related("tags"), request.GET.get("cursor", ""))
    context = {
        "page": page,
        "rows": queries.with_standing(page.rows, request.organization),
        "choices": listing.choices(asked, now),
        "chips": asked.chips(),
        "dead_count": queries.dead_count(),
        "tracked_example": examples.tracked("nightly-train", settings.PUBLIC_URL),
        "install_example": examples.install(settings.PUBLIC_URL),
    }
    return render(request, "jobs/job_list.html", context)


@http.page("jobs.write")
def job_create(request: Request) -> HttpResponse:
    form = JobForm(request.POST or None, initial={"kind": request.GET.get("kind", "")}, like=_like(request))
    if request.method == "POST":
        job = submit(form, partial(submissions.submit_open_job, by=request.actor))
        if job:
            return http.redirect(request, http.link(request.organization, "jobs:job-detail", job.pk))
    kind = _kind_to_show(form)
    context = {
        "form": form,
        "kinds": [(one, one) for one in queries.own_kinds()],
        **_submit_examples(Example(kind, input={"epochs": 10})),
        "worker_example": examples.worker(kind, settings.PUBLIC_URL),
    }
    return render(request, "jobs/job_create.html", context, status=422 if form.errors else 200)


def _kind_to_show(form: JobForm) -> str:
    """Programs are shown to be copied and run, so nothing else that an address says may stand in them."""
    kind = form["kind"].value() or ""
    return kind if re.fullmatch(KIND, kind) else "nightly-train"


def _like(request: Request) -> Job | None:
    try:
        given = request.GET.get("like")
        return get_object_or_404(Job, pk=UUID(given)) if given else None
    except ValueError:
        raise NotFound from None


def _submit_examples(example: Example) -> dict[str, str]:
    return {
        "curl_example": examples.curl(example, settings.PUBLIC_URL),
        "python_example": examples.python(example, settings.PUBLIC_URL),
    }


@http.page("jobs.read", methods=["GET", "HEAD"])
def job_detail(request: Request, job_id: UUID) -> HttpResponse:
    job = get_object_or_404(Job.objects.prefetch_related("tags"), pk=job_id)
    level = request.GET.get("level", "")
    log = tail.last(job, level)
    context = {
        **_state(request, job),
        "log": log,
        "seen": log.last,
        "level": level,
        "levels": tail.CHOICES,
        "input_text": json.dumps(job.input, indent=2, ensure_ascii=False) if job.input else "",
        "job_key": str(job.pk),
        "can_be_submitted": queries.can_be_submitted(job.kind),
        **_submit_examples(_example_of(job)),
    }
    return render(request, "jobs/job_detail.html", context)


def _example_of(job: Job) -> Example:
    name = job.label if job.label != job.kind else ""
    return Example(job.kind, name, job.input, job.priority, [mark.tag for mark in job.tags.all()])


@http.page("jobs.read", methods=["GET", "HEAD"])
def job_state(request: Request, job_id: UUID) -> HttpResponse:
    """A fragment for the job's page: all that changes but the log."""
    job = get_object_or_404(Job.objects.prefetch_related("tags"), pk=job_id)
    return http.fragment(request, "jobs/job_state.html", _state(request, job))


def _state(request: Request, job: Job) -> dict[str, Any]:
    return queries.state_of(job, request.organization, timezone.localtime())


@http.page("jobs.read", methods=["GET", "HEAD"])
def job_log(request: Request, job_id: UUID) -> HttpResponse:
    """A fragment for the job's page: the lines before the one that `before` names, or those after `after`."""
    job, level = get_object_or_404(Job, pk=job_id), request.GET.get("level", "")
    before, after = _line(request, "before"), _line(request, "after")
    context = {"job": job, "level": level, "log": tail.before(job, level, before) if before else None}
    if not before:
        log = tail.after(job, level, after or UUID(int=0))
        context |= {"log": log, "seen": log.last or after, "is_tail": True}
    return http.fragment(request, "jobs/job_log.html", context)


def _line(request: Request, name: str) -> UUID | None:
    try:
        return UUID(request.GET[name]) if request.GET.get(name) else None
    except ValueError:
        raise NotFound from None


@http.page("jobs.write", methods=["POST"])
def job_cancel(request: Request, job_id: UUID) -> HttpResponse:
    return _done_to(request, services.cancel_job(get_object_or_404(Job, pk=job_id), by=request.actor))


@http.page("jobs.write", methods=["POST"])
def job_retry(request: Request, job_id: UUID) -> HttpResponse:
    return _done_to(request, services.retry_job(get_object_or_404(Job, pk=job_id), by=request.actor))


@http.page("jobs.write", methods=["POST"])
def job_discard(request: Request, job_id: UUID) -> HttpResponse:
    return _done_to(request, services.discard_job(get_object_or_404(Job, pk=job_id), by=request.actor))


def _done_to(request: Request, job: Job) -> HttpResponse:
    return http.redirect(request, http.link(request.organization, "jobs:job-detail", job.pk))


@http.page("jobs.read", methods=["GET", "HEAD"])
def dead_list(request: Request) -> HttpResponse:
    asked = _asked_of_the_dead(request)
    rows = asked.rows(timezone.now()).dead()
    page, matching = paging.newest_first(rows, request.GET.get("cursor", "")), rows.count()
    them = f"{format_count(matching)} dead {'job' if matching == 1 else 'jobs'}"
    context = {
        "page": page,
        "choices": queries.dead_choices(),
        "ages": [(age.name, age.label, None) for age in listing.AGES.values()],
        "chips": asked.chips(),
        "dead_count": queries.dead_count(),
        "matching": matching,
        "most": dead_set.MOST_AT_ONCE,
        "can_write": request.actor.can("jobs.write"),
        "retry_all": f"Retry all {format_count(matching)}",
        "discard_all": f"Discard all {format_count(matching)}",
        "retry_all_title": f"Run {them} again?",
        "discard_all_title": f"Discard {them}?",
    }
    return render(request, "jobs/dead_list.html", context)


@http.page("jobs.write", methods=["POST"])
def dead_retry(request: Request) -> HttpResponse:
    return _dead_done(request, dead_set.retry_dead, "will be tried again")


@http.page("jobs.write", methods=["POST"])
def dead_discard(request: Request) -> HttpResponse:
    return _dead_done(request, dead_set.discard_dead, "discarded")


def _dead_done(request: Request, act: Any, words: str) -> HttpResponse:
    """Act on the jobs that were picked, or on `all` that the address asks for."""
    back = http.link(request.organization, "jobs:dead-list")
    if "all" in request.POST:
        rows, filters = _meant(request)
    else:
        rows, filters = Job.objects.filter(pk__in=_picked(request)), {}
        back += f"?{request.GET.urlencode()}" if request.GET else ""
    done = act(rows, by=request.actor, filters=filters)
    if done.count:
        messages.success(request, f"{format_count(done.count)} {'job' if done.count == 1 else 'jobs'} {words}.")
    else:
        messages.warning(request, "None of these jobs is dead any more." if _is_about_any(request) else NOTHING_PICKED)
    return http.redirect(request, back)


def _is_about_any(request: Request) -> bool:
    return "all" in request.POST or "job" in request.POST


def _meant(request: Request) -> tuple[JobQuerySet, dict[str, str]]:
    asked = _asked_of_the_dead(request)
    return asked.rows(timezone.now()), {chip.name: getattr(asked, chip.name) for chip in asked.chips()}


def _asked_of_the_dead(request: Request) -> Asked:
    return Asked.of({name: request.GET.get(name, "") for name in DEAD_SET_FILTERS})


def _picked(request: Request) -> list[UUID]:
    try:
        return [UUID(one) for one in request.POST.getlist("job")]
    except ValueError:
        raise NotFound from None


@http.page("jobs.read", methods=["GET", "HEAD"])
def queue_list(request: Request) -> HttpResponse:
    now, load = timezone.localtime(), standing.load_of(request.organization)
    context = {
        "queues": workload.depths(now),
        "load": load,
        "limit_note": f"of {format_count(load.limit)} at once by your plan",
        "our_workers": workload.our_workers(now),
        "outside_workers": workload.outside_workers(now),
        "dead_count": queries.dead_count(),
    }
    return render(request, "jobs/queue_list.html", context)
