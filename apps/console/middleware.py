"""Who enters the operator's console."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect

from apps.accounts import second_factor
from apps.core.http import Request

CONSOLE = "/admin/"
LEAVING = "/admin/logout/"

GetResponse = Callable[[Request], HttpResponse]


class OperatorMiddleware:
    """Where OPERATORS_NEED_SECOND_FACTOR is on, leads an operator without one to setting it up."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: Request) -> HttpResponse:
        path = request.path_info
        if not settings.OPERATORS_NEED_SECOND_FACTOR or not path.startswith(CONSOLE) or path == LEAVING:
            return self.get_response(request)
        if not request.user.is_staff or second_factor.is_enabled(request.user):
            return self.get_response(request)
        messages.warning(request, "The console asks every operator for a second factor. Set one up first.")
        return redirect("mfa_index")
