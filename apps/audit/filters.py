"""What the trail can be narrowed to, under the same names by its page, its exports and the API."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import Q, QuerySet

from apps.audit.models import AuditEntry
from apps.core.api.filters import MomentFilter

LABELS = ("actor_label", "operator_label", "subject_label")


class TrailFilter(django_filters.FilterSet):
    after = MomentFilter(field_name="created_at", lookup_expr="gte", label="From")
    before = MomentFilter(field_name="created_at", lookup_expr="lt", label="Until")
    q = django_filters.CharFilter(method="filter_text", max_length=100, label="Part of a name")

    class Meta:
        model = AuditEntry
        fields = ["actor_id", "operator_id", "action", "subject_type", "subject_id", "address", "request_id"]

    def filter_text(self, entries: QuerySet[Any], name: str, text: str) -> QuerySet[Any]:
        """The entries in whose person's, operator's or subject's name `text` stands."""
        found = Q()
        for label in LABELS:
            found |= Q(**{f"{label}__icontains": text})
        return entries.filter(found)
