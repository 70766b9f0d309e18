"""The pages of training runs."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, render

from apps.core import http, paging
from apps.core.forms import submit
from apps.core.http import Request
from apps.organizations import labels
from apps.training import queries, services
from apps.training.forms import RunForm
from apps.training.models import TrainingRun

RUN_TABS = ("leaderboard", "folds", "columns")


@http.page("training.read", methods=["GET", "HEAD"])
def run_list(request: Request) -> HttpResponse:
    page = paging.newest_first(queries.filtered(request.GET), request.GET.get("cursor", ""))
    context = {
        "page": page,
        "statuses": queries.status_counts(),
        "projects": labels.project_counts(TrainingRun),
        "example": queries.create_example(),
        "topics": ["training-runs", "jobs", *(f"job:{run.job_id}" for run in page.rows if not run.job.is_finished)],
    }
    return render(request, "training/run_list.html", context)


@http.page("training.write")
def run_create(request: Request) -> HttpResponse:
    """A new run, on the dataset version that the address or the form names."""
    data = request.POST if request.method == "POST" else None
    typed = request.POST if data is not None else request.GET
    version = queries.version_chosen(typed.get("dataset_version") or typed.get("version", ""))
    form = RunForm(data, version=version, initial=_initial(request.GET))
    if data is not None and (run := submit(form, partial(_create, request))):
        return http.redirect(request, http.link(request.organization, "training:run-detail", run.pk))
    context = {"form": form, "has_versions": queries.trainable_versions().exists()}
    return render(request, "training/run_create.html", context, status=422 if form.errors else 200)


def _create(request: Request, **values: Any) -> TrainingRun:
    return services.create_run(services.NewRun(**values), by=request.actor)


def _initial(parameters: QueryDict) -> dict[str, Any]:
    """What was typed before another dataset version was chosen."""
    typed: dict[str, Any] = {name: value for name, value in parameters.items() if value}
    if "candidates" in typed:
        typed["candidates"] = parameters.getlist("candidates")
    return typed


@http.page("training.read", methods=["GET", "HEAD"])
def run_detail(request: Request, run_id: UUID) -> HttpResponse:
    run = get_object_or_404(TrainingRun.objects.with_context(), pk=run_id)
    trials = queries.leaderboard(run)
    metrics = queries.metrics_of(trials)
    tab = request.GET.get("tab", "")
    context = {
        "run": run,
        "trials": trials,
        "best": next((trial for trial in trials if trial.is_best), None),
        "metrics": metrics,
        "chart": queries.leaderboard_chart(trials),
        "chart_note": queries.chart_note(metrics),
        "fold_numbers": range(1, run.folds + 1),
        "columns": list(run.columns.all()),
        f"is_{tab if tab in RUN_TABS else RUN_TABS[0]}": True,
    }
    return render(request, "training/run_detail.html", context)


@http.page("training.write", methods=["POST"])
def run_cancel(request: Request, run_id: UUID) -> HttpResponse:
    run = services.cancel_run(_run_with_job(run_id), by=request.actor)
    return http.redirect(request, http.link(request.organization, "training:run-detail", run.pk))


@http.page("training.write", methods=["POST"])
def run_retry(request: Request, run_id: UUID) -> HttpResponse:
    run = services.retry_run(_run_with_job(run_id), by=request.actor)
    return http.redirect(request, http.link(request.organization, "training:run-detail", run.pk))


def _run_with_job(run_id: UUID) -> TrainingRun:
    return get_object_or_404(TrainingRun.objects.select_related("job"), pk=run_id)
