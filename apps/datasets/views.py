"""The pages of datasets and their versions."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render

from apps.core import http, paging
from apps.core.downloads import Download
from apps.core.errors import NotFound
from apps.core.formatting import format_bytes
from apps.core.forms import submit, submit_edit
from apps.core.http import Request
from apps.datasets import downloads, errors, queries, services
from apps.datasets.forms import DatasetForm, DescriptionForm, SourceForm
from apps.datasets.models import Dataset, DatasetVersion
from apps.organizations import labels

TABS = ("rows", "columns", "versions", "activity")


@http.page("datasets.read", methods=["GET", "HEAD"])
def dataset_list(request: Request) -> HttpResponse:
    search, project = request.GET.get("q", "").strip(), request.GET.get("project", "")
    datasets = labels.in_project(Dataset.objects.with_totals().with_latest_version().select_related("project"), project)
    if search:
        datasets = datasets.named_like(search)
    page = paging.newest_first(datasets, request.GET.get("cursor", ""))
    context = {
        "page": page,
        "is_filtered": bool(search or project),
        "is_empty": not page.rows and not (search or project) and not page.previous_cursor,
        "projects": labels.project_counts(Dataset),
        "can_write": request.actor.can("datasets.write"),
        "form": DatasetForm(),
    }
    return render(request, "datasets/dataset_list.html", context)


@http.page("datasets.write")
def dataset_create(request: Request) -> HttpResponse:
    form = DatasetForm(request.POST or None, request.FILES or None)
    if request.method == "POST":
        version = submit(form, lambda **given: services.create_dataset(**given, by=request.actor))
        if version is not None:
            return _go_to_dataset(request, version.dataset_id)
    return _form_page(request, form, "datasets/dataset_create.html", "datasets/dataset_form.html", {})


@http.page("datasets.write")
def version_create(request: Request, dataset_id: UUID) -> HttpResponse:
    dataset = get_object_or_404(Dataset, pk=dataset_id)
    form = SourceForm(request.POST or None, request.FILES or None)
    if request.method == "POST":
        version = submit(form, lambda source: services.add_version(dataset, source, by=request.actor))
        if version is not None:
            if version.is_ready:
                messages.info(request, f"These bytes are version {version.number} already; nothing was added.")
            return _go_to_dataset(request, dataset.pk, f"?version={version.number}")
    context = {"dataset": dataset}
    return _form_page(request, form, "datasets/version_create.html", "datasets/version_form.html", context)


def _form_page(request: Request, form: Any, template: str, form_template: str, context: dict[str, Any]) -> HttpResponse:
    """The page of a form; for HTMX, what was wrong with it as the form alone."""
    context = {**context, "form": form}
    if request.htmx and form.is_bound:
        return http.fragment(request, form_template, context, status=422)
    return render(request, template, context, status=422 if form.errors else 200)


def _go_to_dataset(request: Request, dataset_id: UUID, query: str = "") -> HttpResponse:
    return http.redirect(request, http.link(request.organization, "datasets:dataset-detail", dataset_id) + query)


@http.page("datasets.read", methods=["GET", "HEAD"])
def dataset_detail(request: Request, dataset_id: UUID) -> HttpResponse:
    """A dataset at one of its versions: `?version=<number>`, the newest one unless told."""
    dataset = get_object_or_404(Dataset.objects.with_totals().select_related("project"), pk=dataset_id)
    version = _chosen_version(dataset, request.GET.get("version", ""))
    tab = request.GET.get("tab")
    tab = tab if tab in TABS else TABS[0]
    context = {
        "dataset": dataset,
        "version": version,
        "version_label": _version_label(version, dataset),
        "parquet_size": format_bytes(version.parquet_size_bytes) if version and version.is_ready else "",
        f"is_{tab}": True,
        "can_write": request.actor.can("datasets.write"),
        "train_url": _train_url(request, version),
        **_tab_context(request, dataset, version, tab),
    }
    return render(request, "datasets/dataset_detail.html", context)


def _chosen_version(dataset: Dataset, number: str) -> DatasetVersion | None:
    versions = dataset.versions.select_related("job").order_by("-number")
    if not number:
        return versions.first()
    if not number.isdecimal():
        raise NotFound
    return get_object_or_404(versions, number=int(number))


def _version_label(version: DatasetVersion | None, dataset: Any) -> str:
    if version is None:
        return ""
    return str(version.number) if dataset.version_count == 1 else f"{version.number} of {dataset.version_count}"


def _train_url(request: Request, version: DatasetVersion | None) -> str:
    """Where a model is trained on a version, for those who may."""
    if version is None or not version.is_ready or not request.actor.can("training.write"):
        return ""
    return f"{http.link(request.organization, 'training:run-create')}?version={version.pk}"


def _tab_context(request: Request, dataset: Dataset, version: DatasetVersion | None, tab: str) -> dict[str, Any]:
    cursor = request.GET.get("cursor", "")
    if tab == "versions":
        return {"page": paging.newest_first(dataset.versions.select_related("job"), cursor)}
    if tab == "activity":
        return {"jobs": queries.recent_jobs(dataset)}
    if version is None or not version.is_ready:
        return {"form": SourceForm(), **_job_actions(request, version)}
    columns = queries.shown_columns(version)
    if tab == "columns":
        return {"columns": columns}
    page = queries.row_page(version, columns, cursor)
    return {"columns": columns, "page": page, "rows_note": queries.rows_note(version, page)}


def _job_actions(request: Request, version: DatasetVersion | None) -> dict[str, bool]:
    if version is None or version.job is None or not request.actor.can("jobs.write"):
        return {}
    job = version.job
    return {"can_retry": job.is_retryable, "can_cancel": not job.is_finished and not job.is_cancelling}


@http.page("datasets.write")
def dataset_edit(request: Request, dataset_id: UUID) -> HttpResponse:
    dataset = get_object_or_404(Dataset, pk=dataset_id)
    form = DescriptionForm(request.POST or None, row=dataset)
    if request.method == "POST":
        updated = submit_edit(form, lambda **given: services.update_dataset(dataset, **given, by=request.actor))
        if updated is not None:
            return _go_to_dataset(request, dataset.pk)
    status = 422 if form.errors else 200
    return render(request, "datasets/dataset_edit.html", {"dataset": dataset, "form": form}, status=status)


@http.page("datasets.write", methods=["POST"])
def dataset_delete(request: Request, dataset_id: UUID) -> HttpResponse:
    dataset = get_object_or_404(Dataset, pk=dataset_id)
    if request.POST.get("confirmation") != dataset.name:
        raise errors.ConfirmationMissing(field="confirmation", name=dataset.name)
    services.delete_dataset(dataset, by=request.actor)
    messages.success(request, f"{dataset.name} was deleted.")
    return http.redirect(request, http.link(request.organization, "datasets:dataset-list"))


@http.page("datasets.read", methods=["GET", "HEAD"])
def version_source(request: Request, version_id: UUID) -> Download:
    return downloads.source_response(get_object_or_404(DatasetVersion, pk=version_id))
