from __future__ import annotations

from django.http import HttpResponse

from apps.console.palette import queries
from apps.core import http
from apps.core.http import Request
from apps.organizations.queries import memberships_of

QUERY_CHARS = 80
KEY_COUNT = 10


@http.page("organization.read", methods=["GET", "HEAD"])
def palette_results(request: Request) -> HttpResponse:
    """The palette's answer to `?q=`; without it what it offers first, `?recent=` being the keys chosen last."""
    organizations = [membership.organization for membership in memberships_of(request.user)]
    visitor = queries.Visitor(request.organization, request.actor, organizations)
    query = request.GET.get("q", "").strip()[:QUERY_CHARS]
    keys = request.GET.get("recent", "").split()[:KEY_COUNT]
    groups = queries.answers(visitor, query) if query else queries.suggestions(visitor, keys)
    context = {"groups": groups, "query": query, "count": sum(len(group.hits) for group in groups)}
    return http.fragment(request, "core/components/palette_results.html", context)
