from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone

from apps.core import http, time_ranges
from apps.core.forms import submit, submit_edit
from apps.core.http import Request
from apps.gateway import queries, services
from apps.gateway.enums import Kind
from apps.gateway.forms.upstreams import PRESETS, SecretForm, UpstreamEditForm, UpstreamForm
from apps.gateway.models import Upstream, UpstreamKey
from apps.organizations.errors import ConfirmationMismatch


@http.page("gateway.read", methods=["GET", "HEAD"])
def upstream_list(request: Request) -> HttpResponse:
    now, time_range = timezone.localtime(), time_ranges.named(request.GET.get("range", ""))
    figures = queries.figures_by("upstream_id", time_range, now)
    upstreams = list(Upstream.objects.prefetch_related("keys").order_by("name"))
    context = {
        "rows": [(upstream, figures.get(upstream.pk)) for upstream in upstreams],
        "range": time_range,
        "offers_local": _offers_local(upstreams),
    }
    return render(request, "gateway/upstream_list.html", context)


@http.page("gateway.write")
def upstream_create(request: Request) -> HttpResponse:
    _, preset = PRESETS.get(request.GET.get("preset", ""), ("", {}))
    form = UpstreamForm(request.POST or None, initial=preset)
    if request.method == "POST":
        upstream = submit(form, partial(services.create_upstream, by=request.actor))
        if upstream is not None:
            return _go_to(request, upstream)
    presets = [(name, title) for name, (title, _) in PRESETS.items()]
    context = {"form": form, "presets": presets, "offers_local": _offers_local(Upstream.objects.all())}
    return render(request, "gateway/upstream_create.html", context, status=422 if form.errors else 200)


@http.page("gateway.write", methods=["POST"])
def local_model_add(request: Request) -> HttpResponse:
    route = services.add_local_model(by=request.actor)
    messages.success(request, f"The local model answers as {route.name}.")
    return http.redirect(request, http.link(request.organization, "gateway:route-detail", route.pk))


@http.page("gateway.read", methods=["GET", "HEAD"])
def upstream_detail(request: Request, upstream_id: UUID) -> HttpResponse:
    return _detail(request, _upstream(upstream_id))


@http.page("gateway.write")
def upstream_edit(request: Request, upstream_id: UUID) -> HttpResponse:
    upstream = _upstream(upstream_id)
    form = UpstreamEditForm(request.POST or None, row=upstream)
    if request.method == "POST":
        keys = UpstreamKey.objects.filter(upstream=upstream)
        count = keys.count()
        if submit_edit(form, lambda **given: services.update_upstream(upstream, **given, by=request.actor)):
            if removed := count - keys.count():
                messages.warning(request, f"It is another server now: {removed} of its keys were removed.")
            return _go_to(request, upstream)
    context = {"upstream": upstream, "form": form}
    return render(request, "gateway/upstream_edit.html", context, status=422 if form.errors else 200)


@http.page("gateway.write", methods=["POST"])
def upstream_pause(request: Request, upstream_id: UUID) -> HttpResponse:
    return _set_paused(request, upstream_id, is_paused=True)


@http.page("gateway.write", methods=["POST"])
def upstream_resume(request: Request, upstream_id: UUID) -> HttpResponse:
    return _set_paused(request, upstream_id, is_paused=False)


@http.page("gateway.write", methods=["POST"])
def upstream_check(request: Request, upstream_id: UUID) -> HttpResponse:
    upstream = _upstream(upstream_id)
    check = services.check_upstream(upstream, by=request.actor)
    if request.htmx:
        return http.fragment(request, "gateway/upstream_check.html", {"check": check})
    return _detail(request, upstream, check=check)


@http.page("gateway.write", methods=["POST"])
def upstream_delete(request: Request, upstream_id: UUID) -> HttpResponse:
    upstream = _upstream(upstream_id)
    if request.POST.get("confirmation") != upstream.name:
        raise ConfirmationMismatch(field="confirmation", name=upstream.name)
    services.delete_upstream(upstream, by=request.actor)
    messages.success(request, f"{upstream.name} was deleted.")
    return http.redirect(request, http.link(request.organization, "gateway:upstream-list"))


@http.page("gateway.write", methods=["POST"])
def secret_add(request: Request, upstream_id: UUID) -> HttpResponse:
    upstream = _upstream(upstream_id)
    form = SecretForm(request.POST)
    if submit(form, lambda **given: services.add_secret(upstream, **given, by=request.actor)):
        return _go_to(request, upstream)
    return _detail(request, upstream, secret_form=form)


@http.page("gateway.write", methods=["POST"])
def secret_pause(request: Request, upstream_id: UUID, secret_id: UUID) -> HttpResponse:
    secret = services.set_secret_paused(_secret(upstream_id, secret_id), True, by=request.actor)
    return _go_to(request, secret.upstream)


@http.page("gateway.write", methods=["POST"])
def secret_resume(request: Request, upstream_id: UUID, secret_id: UUID) -> HttpResponse:
    secret = services.set_secret_paused(_secret(upstream_id, secret_id), False, by=request.actor)
    return _go_to(request, secret.upstream)


@http.page("gateway.write", methods=["POST"])
def secret_delete(request: Request, upstream_id: UUID, secret_id: UUID) -> HttpResponse:
    secret = _secret(upstream_id, secret_id)
    services.delete_secret(secret, by=request.actor)
    return _go_to(request, secret.upstream)


def _detail(
    request: Request, upstream: Upstream, secret_form: SecretForm | None = None, check: services.Check | None = None
) -> HttpResponse:
    context = {"upstream": upstream, "secret_form": secret_form or SecretForm(), "check": check}
    status = 422 if secret_form is not None and secret_form.errors else 200
    return render(request, "gateway/upstream_detail.html", context, status=status)


def _set_paused(request: Request, upstream_id: UUID, *, is_paused: bool) -> HttpResponse:
    return _go_to(request, services.update_upstream(_upstream(upstream_id), is_paused=is_paused, by=request.actor))


def _offers_local(upstreams: Any) -> bool:
    """Whether the installation runs a model that the organization does not use yet."""
    return bool(settings.LLM_URL) and not any(upstream.kind == Kind.LOCAL for upstream in upstreams)


def _upstream(upstream_id: UUID) -> Upstream:
    return get_object_or_404(Upstream.objects.prefetch_related("keys", "targets__route"), pk=upstream_id)


def _secret(upstream_id: UUID, secret_id: UUID) -> UpstreamKey:
    return get_object_or_404(UpstreamKey.objects.select_related("upstream"), upstream=upstream_id, pk=secret_id)


def _go_to(request: Request, upstream: Upstream) -> HttpResponse:
    return http.redirect(request, http.link(request.organization, "gateway:upstream-detail", upstream.pk))
