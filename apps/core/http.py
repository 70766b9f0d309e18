"""HTML in and out: pages with a permission, fragments, toasts, links inside an organization."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods
from django_htmx.middleware import HtmxDetails

from apps.core.actors import Actor
from apps.core.errors import DomainError, NotFound

View = Callable[..., HttpResponseBase]


class Request(HttpRequest):
    """A request as our middleware leaves it. On pages inside an organization `organization` and `actor` are set."""

    id: str
    htmx: HtmxDetails
    organization: Any
    membership: Any
    actor: Actor
    acting: Any
    credential: str
    user: Any


def client_address(request: HttpRequest) -> str:
    return request.META.get("REMOTE_ADDR") or ""


def actor_for_person(user: Any, request: Request) -> Actor:
    """Somebody outside every organization, who may do nothing inside one."""
    return Actor(
        kind="user",
        id=user.pk,
        label=user.email,
        user_id=user.pk,
        address=client_address(request),
        request_id=request.id,
    )


def actor_for_operator(user: Any, request: Request) -> Actor:
    """The operator as such."""
    return replace(actor_for_person(user, request), kind="operator", label=f"operator {user.email}")


def page(
    permission: str, methods: Sequence[str] = ("GET", "HEAD", "POST"), *, post: str = ""
) -> Callable[[View], View]:
    """A view inside an organization, for members whose role has `permission`; a POST needs `post` where it is given."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return sign_in_first(request)
            if request.organization is None or request.actor is None:
                raise NotFound
            request.actor.require(post if post and request.method == "POST" else permission)
            return view(request, *args, **kwargs)

        checked: Any = require_http_methods(list(methods))(guarded)
        checked.permission, checked.post_permission = permission, post or permission
        return checked

    return decorate


def sign_in_first(request: Request) -> HttpResponse:
    """The login page, for a fragment as a redirect of the whole page."""
    if not request.htmx:
        return redirect_to_login(request.get_full_path())
    target = redirect_to_login(request.htmx.current_url_abs_path or "/").url
    response = HttpResponse(status=401)
    response["HX-Redirect"] = target
    return response


def link(organization: Any, name: str, *args: Any) -> str:
    """The address of a page inside `organization`."""
    return reverse(name, args=[organization.slug, *args])


def fragment(request: Request, template: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    response = render(request, template, context, status=status)
    response["Vary"] = "HX-Request"
    return response


def redirect(request: Request, url: str) -> HttpResponse:
    """Send the browser to `url`, also out of a fragment."""
    if request.htmx:
        response = HttpResponse(status=204)
        response["HX-Redirect"] = url
        return response
    response = HttpResponse(status=303)
    response["Location"] = url
    return response


def toast(response: HttpResponse, text: str, level: str = "success", request_id: str = "") -> HttpResponse:
    """Add a toast to what the page shows after this answer."""
    response["HX-Trigger"] = json.dumps({"toast": {"text": text, "level": level, "request_id": request_id}})
    return response


def toast_error(request: Request, error: DomainError) -> HttpResponse:
    response = HttpResponse(status=error.status, headers=dict(error.headers))
    response["HX-Reswap"] = "none"
    return toast(response, error.message.replace("`", ""), level="error", request_id=request.id)


def came_from(request: Request) -> str:
    """Our page that led to this request, if it is another one."""
    page = request.headers.get("Referer", "")
    is_ours = url_has_allowed_host_and_scheme(page, {request.get_host()}, require_https=request.is_secure())
    is_same = request.method != "POST" and page == request.build_absolute_uri()
    return page if is_ours and not is_same else ""


def error_page(request: Request, error: DomainError) -> HttpResponse:
    # A failure of ours may be one of what the shell needs, such as the database.
    is_inside = request.organization is not None and error.status < 500
    context = {
        "error": error,
        "status": error.status,
        "detail": error.message,
        "request_id": request.id,
        "frame": "core/shell.html" if is_inside else "core/plain.html",
        "back_url": came_from(request) if is_inside else "",
    }
    response = render(request, error.page, context, status=error.status)
    for name, value in error.headers.items():
        response[name] = value
    return response
