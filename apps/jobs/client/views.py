"""The client for everybody to download: the same for all, so that it may be kept."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import condition, require_safe

from apps.core.entity_tags import digest
from apps.jobs.client import wheel as packed

KEPT_S = 3600


@require_safe
@cache_control(public=True, max_age=KEPT_S)
@condition(etag_func=lambda *_: f'"{digest(packed.source())}"')
def client_source(request: HttpRequest) -> HttpResponse:
    return HttpResponse(packed.source(), content_type="text/x-python; charset=utf-8")


@require_safe
@cache_control(public=True, max_age=KEPT_S)
@condition(etag_func=lambda *_, **__: f'"{digest(packed.wheel())}"')
def client_wheel(request: HttpRequest, name: str) -> HttpResponse:
    if name != packed.WHEEL_NAME:
        raise Http404
    return HttpResponse(packed.wheel(), content_type="application/octet-stream")
