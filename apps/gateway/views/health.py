from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render

from apps.core import http
from apps.core.http import Request
from apps.gateway import queries


@http.page("gateway.read", methods=["GET", "HEAD"])
def health_list(request: Request) -> HttpResponse:
    return render(request, "gateway/health_list.html", {"rows": queries.upstreams_seen()})
