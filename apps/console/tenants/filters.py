"""The questions that an operator comes with."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import SimpleListFilter
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from apps.console.tenants import figures

QUESTIONS = [
    ("failures", "With failures in 24 hours"),
    ("endpoints", "With failing endpoints now"),
    ("suspended", "Suspended"),
    ("closed", "Closed, to be erased"),
    ("idle", "No activity for 30 days"),
]


def condition(question: str | None) -> Q:
    """What the answer's rows have in common; without a question, nothing."""
    match question:
        case "failures":
            return figures.with_failures()
        case "endpoints":
            return figures.failing()
        case "suspended":
            return Q(suspended_at__isnull=False)
        case "closed":
            return Q(deletion_requested_at__isnull=False)
        case "idle":
            return figures.idle_since(timezone.now() - figures.MONTH)
        case _:
            return Q()


class QuestionFilter(SimpleListFilter):
    title = "question"
    parameter_name = "question"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return QUESTIONS

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(condition(self.value()))
