"""In which format the API answers: JSON, also to a browser in which somebody opens an address of it."""

from __future__ import annotations

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request


class BrowsersGetJson(DefaultContentNegotiation):
    """There are no pages of the API, so HTML is answered with JSON; any other format is refused with 406."""

    def get_accept_list(self, request: Request) -> list[str]:
        accepted: list[str] = super().get_accept_list(request)
        is_browser = any(one.partition(";")[0].strip() == "text/html" for one in accepted)
        return [*accepted, "application/json"] if is_browser else accepted
