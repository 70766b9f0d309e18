from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.cache import never_cache

from apps.core import http, paging
from apps.core.forms import submit, submit_edit
from apps.core.http import Request
from apps.organizations import examples, queries, services
from apps.organizations.enums import TokenKind
from apps.organizations.forms.tokens import PRESETS, RotationForm, TokenEditForm, TokenForm
from apps.organizations.models import ApiToken
from apps.organizations.permissions import AREAS


@http.page("tokens.read", methods=["GET", "HEAD"])
def token_list(request: Request) -> HttpResponse:
    tokens = queries.tokens_shown_to(request.actor)
    kind = request.GET.get("kind", "")
    shown = tokens.filter(kind=kind) if kind in TokenKind.values else tokens
    counts = dict(tokens.order_by().values_list("kind").annotate(Count("id")))
    context = {
        "page": paging.newest_first(shown, request.GET.get("cursor", "")),
        "kinds": [(value, label, counts[value]) for value, label in TokenKind.choices if value in counts],
        "shows_all": request.actor.can("organization_tokens.read"),
    }
    return render(request, "organizations/token_list.html", context)


@http.page("tokens.write")
@never_cache
def token_create(request: Request) -> HttpResponse:
    form = TokenForm(
        request.POST or None,
        actor=request.actor,
        zone=timezone.get_current_timezone(),
        preset=request.GET.get("preset", ""),
    )
    if request.method == "POST" and (issued := submit(form, partial(services.create_token, by=request.actor))):
        return _issued(request, *issued)
    context = {"form": form, "presets": PRESETS}
    return render(request, "organizations/token_create.html", context, status=422 if form.errors else 200)


@http.page("tokens.read", methods=["GET", "HEAD"])
def token_detail(request: Request, token_id: UUID) -> HttpResponse:
    return _detail(request, _token(request, token_id))


@http.page("tokens.write")
def token_edit(request: Request, token_id: UUID) -> HttpResponse:
    token = _token(request, token_id)
    form = TokenEditForm(request.POST or None, row=token)
    edit = partial(services.edit_token, token, by=request.actor)
    if request.method == "POST" and (edited := submit_edit(form, edit)):
        return _go_to(request, edited)
    context = {"token": token, "form": form}
    return render(request, "organizations/token_edit.html", context, status=422 if form.errors else 200)


@http.page("tokens.write", methods=["POST"])
@never_cache
def token_rotate(request: Request, token_id: UUID) -> HttpResponse:
    token, form = _token(request, token_id), RotationForm(request.POST)
    if issued := submit(form, partial(services.rotate_token, token, by=request.actor)):
        return _issued(request, *issued)
    return _detail(request, token, form, status=422)


@http.page("tokens.write", methods=["POST"])
def token_revoke(request: Request, token_id: UUID) -> HttpResponse:
    token = services.revoke_token(_token(request, token_id), by=request.actor)
    messages.success(request, f"The token {token.name} was revoked.")
    return _go_to(request, token)


def _token(request: Request, token_id: UUID) -> ApiToken:
    return get_object_or_404(queries.tokens_shown_to(request.actor), pk=token_id)


def _detail(request: Request, token: ApiToken, form: RotationForm | None = None, status: int = 200) -> HttpResponse:
    actor, is_active = request.actor, token.status == "active"
    may_change = actor.can("tokens.write") and queries.is_in_charge_of(actor, token)
    context = {
        "token": token,
        "form": form or RotationForm(),
        "scopes": [(scope, AREAS.get(scope.partition(".")[0], "")) for scope in token.scopes],
        "lost_scopes": sorted(set(token.scopes) - token.permissions) if is_active else [],
        "may_change": may_change and not token.revoked_at,
        "may_rotate": may_change and is_active and queries.may_learn_secret(actor, token),
    }
    return render(request, "organizations/token_detail.html", context, status=status)


def _issued(request: Request, token: ApiToken, text: str) -> HttpResponse:
    """The only answer that shows the token's text."""
    curl = examples.curl(token.permissions, text, settings.PUBLIC_URL, settings.EDGE_URL)
    context: dict[str, Any] = {"token": token, "text": text, "curl": curl}
    return render(request, "organizations/token_issued.html", context)


def _go_to(request: Request, token: ApiToken) -> HttpResponse:
    return http.redirect(request, http.link(request.organization, "organizations:token-detail", token.pk))
