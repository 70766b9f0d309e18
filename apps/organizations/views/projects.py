from __future__ import annotations

from functools import partial
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render

from apps.core import http, paging
from apps.core.forms import submit, submit_edit
from apps.core.http import Request
from apps.organizations import labels, services
from apps.organizations.forms.projects import NewProjectForm, ProjectForm
from apps.organizations.models import Project


@http.page("projects.read", methods=["GET", "HEAD"])
def project_list(request: Request) -> HttpResponse:
    page = paging.newest_first(labels.projects_with_counts(), request.GET.get("cursor", ""))
    return render(request, "organizations/project_list.html", {"page": page})


@http.page("projects.write")
def project_create(request: Request) -> HttpResponse:
    form = NewProjectForm(request.POST or None)
    if request.method == "POST" and (project := submit(form, partial(services.create_project, by=request.actor))):
        return _go_to(request, project)
    return render(request, "organizations/project_create.html", {"form": form}, status=422 if form.errors else 200)


@http.page("projects.read", methods=["GET", "HEAD"])
def project_detail(request: Request, project_id: UUID) -> HttpResponse:
    project = get_object_or_404(Project, pk=project_id)
    uses = labels.uses_of(project)
    context = {
        "project": project,
        "uses": [use for use in uses if request.actor.can(use.kind.permission)],
        "carriers": sum(use.count for use in uses),
    }
    return render(request, "organizations/project_detail.html", context)


@http.page("projects.write")
def project_edit(request: Request, project_id: UUID) -> HttpResponse:
    project = get_object_or_404(Project, pk=project_id)
    form = ProjectForm(request.POST or None, row=project)
    update = partial(services.update_project, project, by=request.actor)
    if request.method == "POST" and (updated := submit_edit(form, update)):
        return _go_to(request, updated)
    context = {"project": project, "form": form}
    return render(request, "organizations/project_edit.html", context, status=422 if form.errors else 200)


@http.page("projects.write", methods=["POST"])
def project_delete(request: Request, project_id: UUID) -> HttpResponse:
    project = get_object_or_404(Project, pk=project_id)
    services.delete_project(project, by=request.actor)
    messages.success(request, f"The project {project.name} was deleted.")
    return http.redirect(request, http.link(request.organization, "organizations:project-list"))


def _go_to(request: Request, project: Project) -> HttpResponse:
    return http.redirect(request, http.link(request.organization, "organizations:project-detail", project.pk))
