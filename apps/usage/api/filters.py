from __future__ import annotations

import django_filters

from apps.core.api.filters import MomentFilter
from apps.usage.models import UsageEvent


class UsageEventFilter(django_filters.FilterSet):
    meter = django_filters.CharFilter()
    model = django_filters.CharFilter()
    token = django_filters.CharFilter()
    user = django_filters.CharFilter()
    deployment = django_filters.CharFilter()
    prompt = django_filters.CharFilter()
    tag = django_filters.CharFilter()
    after = MomentFilter(field_name="occurred_at", lookup_expr="gte")
    before = MomentFilter(field_name="occurred_at", lookup_expr="lt")

    class Meta:
        model = UsageEvent
        fields: list[str] = []
