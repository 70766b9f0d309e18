"""The pages of models and their versions."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse

from apps.core import http, paging
from apps.core.downloads import Download
from apps.core.forms import submit_edit
from apps.core.http import Request
from apps.organizations import labels
from apps.registry import downloads, queries, services
from apps.registry.enums import TaskName
from apps.registry.forms import ModelForm
from apps.registry.models import Model, ModelVersion

VERSION_TABS = ("overview", "signature", "use")


@http.page("models.read", methods=["GET", "HEAD"])
def model_list(request: Request) -> HttpResponse:
    project = request.GET.get("project", "")
    models = labels.in_project(queries.models_with_latest_version(), project)
    if task := request.GET.get("task"):
        models = models.filter(task=task)
    if search := request.GET.get("q", "").strip():
        models = models.filter(name__istartswith=search)
    context = {
        "page": paging.newest_first(models, request.GET.get("cursor", "")),
        "tasks": [(task, TaskName(task).label, count) for task, count in queries.task_counts()],
        "projects": labels.project_counts(Model),
    }
    return render(request, "registry/model_list.html", context)


@http.page("models.read", methods=["GET", "HEAD"])
def model_detail(request: Request, model_id: UUID) -> HttpResponse:
    model = get_object_or_404(queries.models_with_latest_version(), pk=model_id)
    versions = ModelVersion.objects.filter(model=model).with_lineage()
    context = {
        "model": model,
        "page": paging.newest_first(versions, request.GET.get("cursor", "")),
        "deploy_url": _deploy_url(request, model.latest_version),
    }
    return render(request, "registry/model_detail.html", context)


@http.page("models.write")
def model_edit(request: Request, model_id: UUID) -> HttpResponse:
    model = get_object_or_404(Model, pk=model_id)
    form = ModelForm(request.POST or None, row=model)
    update = partial(services.update_model, model, by=request.actor)
    if request.method == "POST" and (updated := submit_edit(form, update)):
        return http.redirect(request, http.link(request.organization, "registry:model-detail", updated.pk))
    context = {"model": model, "form": form}
    return render(request, "registry/model_edit.html", context, status=422 if form.errors else 200)


@http.page("models.read", methods=["GET", "HEAD"])
def version_detail(request: Request, model_version_id: UUID) -> HttpResponse:
    version = get_object_or_404(
        ModelVersion.objects.with_lineage().prefetch_related("importances"), pk=model_version_id
    )
    tab = request.GET.get("tab", "")
    context = {
        "version": version,
        f"is_{tab if tab in VERSION_TABS else VERSION_TABS[0]}": True,
        "importance_chart": queries.importance_chart(list(version.importances.all())),
        "deploy_url": _deploy_url(request, version),
        "artifact_api_url": settings.PUBLIC_URL + reverse("modelversion-artifact", args=[version.pk]),
        "onnx_example": queries.onnx_example(version),
    }
    return render(request, "registry/version_detail.html", context)


@http.page("models.read", methods=["GET", "HEAD"])
def version_artifact(request: Request, model_version_id: UUID) -> Download:
    version: ModelVersion = get_object_or_404(ModelVersion.objects.select_related("model"), pk=model_version_id)
    return downloads.artifact_response(version)


def _deploy_url(request: Request, version: ModelVersion | None) -> str:
    """Where the version is deployed, for those who may."""
    if version is None or not request.actor.can("deployments.write"):
        return ""
    return f"{http.link(request.organization, 'deployments:deployment-create')}?version={version.pk}"
