"""The operator's page of events that could not be stored."""

from __future__ import annotations

import re
from collections.abc import Iterable
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

MOST_KINDS = 12
LETTER_ID = re.compile(r"\d{1,20}-\d{1,20}")


def dead(request: HttpRequest) -> HttpResponse:
    """A page of them, newest first, by stream and reason; a POST replays or discards the chosen, or all that fit."""
    wanted = {name: request.GET.get(name, "") for name in ("stream", "reason")}
    if request.method == "POST":
        _act(request, _chosen(request, wanted))
        return redirect(request.get_full_path())
    page = dead_letters.page(client(), **wanted, before=_edge(request))
    counts = dead_letters.counts(client())
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": "Events that were not stored",
        "letters": [(letter, services.shown(letter)) for letter in page.letters],
        "before": page.before,
        "is_first": not _edge(request),
        "counts": counts[:MOST_KINDS],
        "kinds_left_out": len(counts[MOST_KINDS:]),
        "count": sum(number for _, _, number in counts),
        "fitting": sum(number for *kind, number in counts if _fits(kind, wanted)),
        "most": dead_letters.MOST,
        "wanted": wanted,
    }
    return render(request, "admin/dead_letters.html", context)


def _edge(request: HttpRequest) -> str:
    """The letter before which the page begins; what is none begins at the newest."""
    given = request.GET.get("before", "")
    return given if LETTER_ID.fullmatch(given) else ""


def _fits(kind: Iterable[str], wanted: dict[str, str]) -> bool:
    return all(value in ("", of) for of, value in zip(kind, wanted.values(), strict=True))


def _chosen(request: HttpRequest, wanted: dict[str, str]) -> Iterable[Letter]:
    if "all" in request.POST:
        return dead_letters.letters(client(), **wanted)
    return dead_letters.found(client(), request.POST.getlist("letter"))


def _act(request: HttpRequest, chosen: Iterable[Letter]) -> None:
    by = actor_for_operator(request.user, cast(Request, request))
    try:
        if request.POST.get("act") == "discard":
            messages.success(request, f"{services.discard(chosen, reason_given(request), by=by)} discarded.")
        else:
            messages.success(request, f"{services.replay(chosen, by=by)} replayed.")
    except DomainError as error:
        messages.warning(request, error.message)
