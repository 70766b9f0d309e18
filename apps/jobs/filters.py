"""Which jobs a list or a bulk action is about."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import django_filters
from django.db.models import QuerySet

from apps.audit import moments
from apps.core.api.filters import MomentFilter
from apps.jobs.enums import Status
from apps.jobs.models import Job
from apps.jobs.querysets import JobQuerySet


class DeadSetFilter(django_filters.FilterSet):
    tag = django_filters.CharFilter(method="filter_tag", max_length=50)
    created_after = MomentFilter(method="filter_after")
    created_before = MomentFilter(method="filter_before")

    class Meta:
        model = Job
        fields = ["kind", "queue", "error_code"]

    def filter_tag(self, jobs: JobQuerySet, name: str, tag: str) -> JobQuerySet:
        return jobs.tagged(tag)

    def filter_after(self, jobs: QuerySet[Any], name: str, moment: datetime) -> QuerySet[Any]:
        return moments.since(jobs, moment)

    def filter_before(self, jobs: QuerySet[Any], name: str, moment: datetime) -> QuerySet[Any]:
        return moments.until(jobs, moment)


class JobFilter(DeadSetFilter):
    status = django_filters.MultipleChoiceFilter(choices=Status.choices, distinct=False)
    discarded = django_filters.BooleanFilter(
        field_name="discarded_at", lookup_expr="isnull", exclude=True, label="Whether it was taken out of the dead set"
    )

    class Meta(DeadSetFilter.Meta):
        fields = [*DeadSetFilter.Meta.fields, "subject_type", "subject_id"]
