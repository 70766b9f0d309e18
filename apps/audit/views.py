from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render

from apps.audit.models import AuditEntry
from apps.core import http, paging
from apps.core.http import Request

FILTERS = ("action", "actor_label", "subject_type")


@http.page("audit.read", methods=["GET", "HEAD"])
def entry_list(request: Request) -> HttpResponse:
    wanted = {name: request.GET[name] for name in FILTERS if request.GET.get(name)}
    page = paging.newest_first(AuditEntry.objects.filter(**wanted), request.GET.get("cursor", ""))
    return render(request, "audit/entry_list.html", {"page": page, "is_filtered": bool(wanted)})
