"""What the trail can be narrowed to, under the same names by its page, its exports and the API."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import django_filters
from django.db.models import QuerySet

from apps.audit import moments, search
from apps.audit.models import AuditEntry
from apps.core.api.filters import MomentFilter


class TrailFilter(django_filters.FilterSet):
    after = MomentFilter(method="filter_after", label="From")
    before = MomentFilter(method="filter_before", label="Until")
    q = django_filters.CharFilter(
        method="filter_text", min_length=search.SHORTEST, max_length=100, label="Part of a name"
    )

    class Meta:
        model = AuditEntry
        fields = ["actor_id", "operator_id", "action", "subject_type", "subject_id", "address", "request_id"]

    def filter_after(self, entries: QuerySet[Any], name: str, moment: datetime) -> QuerySet[Any]:
        return moments.since(entries, moment)

    def filter_before(self, entries: QuerySet[Any], name: str, moment: datetime) -> QuerySet[Any]:
        return moments.until(entries, moment)

    def filter_text(self, entries: QuerySet[Any], name: str, text: str) -> QuerySet[Any]:
        """The entries in whose person's, operator's or subject's name `text` stands."""
        return search.named(entries, text)
