"""The pages of deployments."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render

from apps.core import http, paging
from apps.core.forms import submit, submit_edit
from apps.core.http import Request
from apps.deployments import errors, queries, services
from apps.deployments.forms import DeploymentForm, LabelForm, ScaleForm, VersionForm
from apps.deployments.models import Deployment
from apps.organizations import labels
from apps.registry.models import ModelVersion

TABS = ("overview", "use", "settings")


@http.page("deployments.read", methods=["GET", "HEAD"])
def deployment_list(request: Request) -> HttpResponse:
    deployments = labels.in_project(Deployment.objects.with_replicas(), request.GET.get("project", ""))
    if status := request.GET.get("status"):
        deployments = deployments.filter(status=status)
    page = paging.newest_first(deployments, request.GET.get("cursor", ""))
    projects = labels.project_counts(Deployment)
    context = {"page": page, "statuses": queries.status_counts(), "projects": projects}
    return render(request, "deployments/deployment_list.html", context)


@http.page("deployments.write")
def deployment_create(request: Request) -> HttpResponse:
    form = DeploymentForm(request.POST or None, version=_chosen_version(request))
    if request.method == "POST":
        deployment = submit(form, lambda **given: services.create_deployment(**given, by=request.actor))
        if deployment is not None:
            return _go_to(request, deployment)
    context = {"form": form, "has_versions": queries.deployable_versions().exists()}
    return render(request, "deployments/deployment_create.html", context, status=422 if form.errors else 200)


@http.page("deployments.read", methods=["GET", "HEAD"])
def deployment_detail(request: Request, deployment_id: UUID) -> HttpResponse:
    return _detail(request, _deployment(deployment_id), request.GET.get("tab", ""))


@http.page("deployments.write", methods=["POST"])
def deployment_start(request: Request, deployment_id: UUID) -> HttpResponse:
    return _go_to(request, services.start_deployment(_deployment(deployment_id), by=request.actor))


@http.page("deployments.write", methods=["POST"])
def deployment_stop(request: Request, deployment_id: UUID) -> HttpResponse:
    return _go_to(request, services.stop_deployment(_deployment(deployment_id), by=request.actor))


@http.page("deployments.write", methods=["POST"])
def deployment_scale(request: Request, deployment_id: UUID) -> HttpResponse:
    deployment = _deployment(deployment_id)
    form = ScaleForm(request.POST, row=deployment)
    if submit_edit(form, lambda **given: services.scale_deployment(deployment, **given, by=request.actor)):
        return _go_to(request, deployment)
    return _detail(request, deployment, "settings", scale_form=form)


@http.page("deployments.write", methods=["POST"])
def deployment_roll_out(request: Request, deployment_id: UUID) -> HttpResponse:
    deployment = _deployment(deployment_id)
    form = VersionForm(request.POST, row=deployment)
    if submit_edit(form, lambda **given: services.change_model_version(deployment, **given, by=request.actor)):
        return _go_to(request, deployment)
    return _detail(request, deployment, "settings", version_form=form)


@http.page("deployments.write", methods=["POST"])
def deployment_label(request: Request, deployment_id: UUID) -> HttpResponse:
    deployment = _deployment(deployment_id)
    form = LabelForm(request.POST, row=deployment)
    if submit_edit(form, lambda **given: services.label_deployment(deployment, **given, by=request.actor)):
        return _go_to(request, deployment)
    return _detail(request, deployment, "settings", label_form=form)


@http.page("deployments.write", methods=["POST"])
def deployment_delete(request: Request, deployment_id: UUID) -> HttpResponse:
    deployment = _deployment(deployment_id)
    if request.POST.get("confirmation") != deployment.name:
        raise errors.ConfirmationMismatch(field="confirmation", name=deployment.name)
    services.delete_deployment(deployment, by=request.actor)
    messages.success(request, f"{deployment.name} was deleted.")
    return http.redirect(request, http.link(request.organization, "deployments:deployment-list"))


def _detail(request: Request, deployment: Deployment, tab: str, **forms: Any) -> HttpResponse:
    tab = tab if tab in TABS else TABS[0]
    context = {
        "deployment": deployment,
        "infer_url": queries.infer_url(deployment),
        "tab": tab,
        f"is_{tab}": True,
        **_tab_context(deployment, tab),
        **forms,
    }
    status = 422 if any(form.errors for form in forms.values()) else 200
    return render(request, "deployments/deployment_detail.html", context, status=status)


def _tab_context(deployment: Deployment, tab: str) -> dict[str, Any]:
    if tab == "use":
        return {"snippets": queries.deployment_snippets(deployment)}
    if tab == "settings":
        forms = {"scale_form": ScaleForm, "version_form": VersionForm, "label_form": LabelForm}
        return {name: form(row=deployment) for name, form in forms.items()}
    return {}


def _chosen_version(request: Request) -> ModelVersion | None:
    """The version that a link from its page names, else the newest one."""
    versions = ModelVersion.objects.select_related("model")
    try:
        return versions.filter(pk=UUID(request.GET["version"])).first()
    except (KeyError, ValueError):
        return versions.order_by("-id").first()


def _deployment(deployment_id: UUID) -> Deployment:
    return get_object_or_404(Deployment.objects.with_replicas(), pk=deployment_id)


def _go_to(request: Request, deployment: Deployment) -> HttpResponse:
    return http.redirect(request, http.link(request.organization, "deployments:deployment-detail", deployment.pk))
