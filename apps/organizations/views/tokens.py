from __future__ import annotations

from functools import partial
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render

from apps.core import http
from apps.core.forms import submit
from apps.core.http import Request
from apps.organizations import services
from apps.organizations.forms import TokenForm
from apps.organizations.models import ApiToken


@http.page("tokens.read", post="tokens.write")
def token_list(request: Request) -> HttpResponse:
    issued = None
    form = TokenForm(request.POST or None, actor=request.actor)
    if request.method == "POST":
        issued = submit(form, partial(services.create_token, by=request.actor))
    context = {
        "form": TokenForm(actor=request.actor) if issued else form,
        "issued": issued[1] if issued else "",
        "tokens": ApiToken.objects.select_related("membership__user").order_by("-id"),
    }
    return render(request, "organizations/token_list.html", context, status=422 if form.errors else 200)


@http.page("tokens.write", methods=["POST"])
def token_revoke(request: Request, token_id: UUID) -> HttpResponse:
    services.revoke_token(get_object_or_404(ApiToken, pk=token_id), by=request.actor)
    return http.redirect(request, http.link(request.organization, "organizations:token-list"))
