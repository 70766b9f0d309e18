from __future__ import annotations

import django_filters

from apps.core.api.filters import MomentFilter
from apps.logs.models import CallRecord


class CallRecordFilter(django_filters.FilterSet):
    after = MomentFilter(field_name="occurred_at", lookup_expr="gte")
    before = MomentFilter(field_name="occurred_at", lookup_expr="lt")

    class Meta:
        model = CallRecord
        fields = ["status", "model", "route", "error_code", "request_id", "token_id", "deployment_id", "replica_id"]
