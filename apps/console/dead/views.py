"""The operator's page of events that could not be stored."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import Any, cast

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from apps.console.dead import services
from apps.console.status.probes import client
from apps.core import dead_letters
from apps.core.admin import reason_given
from apps.core.dead_letters import Letter
from apps.core.errors import DomainError
from apps.core.http import Request, actor_for_operator

MOST_SHOWN = 100


def dead(request: HttpRequest) -> HttpResponse:
    """The newest, by stream and reason; a POST replays or discards the chosen ones, or all that fit."""
    wanted = {name: request.GET.get(name, "") for name in ("stream", "reason")}
    if request.method == "POST":
        _act(request, _chosen(request, wanted))
        return redirect(request.get_full_path())
    letters = list(islice(dead_letters.letters(client(), **wanted), MOST_SHOWN))
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": "Events that were not stored",
        "letters": [(letter, services.shown(letter)) for letter in letters],
        "counts": Counter((one.stream, one.reason) for one in dead_letters.letters(client())).most_common(),
        "count": dead_letters.count(client()),
        "most": dead_letters.MOST,
        "wanted": wanted,
    }
    return render(request, "admin/dead_letters.html", context)


def _chosen(request: HttpRequest, wanted: dict[str, str]) -> list[Letter]:
    if "all" in request.POST:
        return list(dead_letters.letters(client(), **wanted))
    return dead_letters.found(client(), request.POST.getlist("letter"))


def _act(request: HttpRequest, chosen: list[Letter]) -> None:
    by = actor_for_operator(request.user, cast(Request, request))
    try:
        if request.POST.get("act") == "discard":
            messages.success(request, f"{services.discard(chosen, reason_given(request), by=by)} discarded.")
        else:
            messages.success(request, f"{services.replay(chosen, by=by)} replayed.")
    except DomainError as error:
        messages.warning(request, error.message)
