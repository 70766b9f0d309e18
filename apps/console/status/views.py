from __future__ import annotations

from typing import Any

from django.db import Error, transaction
from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from apps.console.status.queries import ComponentStatus, Overview, overview
from apps.core.http import Request
from apps.core.parallel import Remembered

SECONDS = 5.0
NOTHING_KNOWN = Overview("unknown", None, [])


def _overview() -> Overview:
    """Without the database nothing is known, which the page has to say rather than fail."""
    try:
        return overview(timezone.now())
    except Error:
        return NOTHING_KNOWN


remembered = Remembered(_overview, SECONDS)


# The page is for when things are broken: it opens no transaction, and reads no session.
@transaction.non_atomic_requests
@require_safe
def status(request: Request) -> HttpResponse:
    return render(request, "console/status.html", {"overview": remembered()})


@transaction.non_atomic_requests
@require_safe
def status_json(request: Request) -> HttpResponse:
    found = remembered()
    components = [_component(one) for one in found.components]
    drained = [{"queue": one.name, "since": one.drained_at, "because": one.drained_because} for one in found.drained]
    return JsonResponse(
        {"status": found.state, "checked_at": found.checked_at, "components": components, "drained_queues": drained}
    )


def _component(one: ComponentStatus) -> dict[str, Any]:
    return {
        "name": one.component.name,
        "label": one.component.label,
        "status": one.state,
        "checked_at": one.checked_at,
        "p50_latency_ms": one.p50_latency_ms,
        "uptime_24h": one.uptime_day,
        "uptime_30d": one.uptime_month,
    }
