from __future__ import annotations

import django_filters

from apps.organizations.enums import InvitationStatus, Role
from apps.organizations.models import Invitation
from apps.organizations.querysets import InvitationQuerySet


class InvitationFilter(django_filters.FilterSet):
    status = django_filters.ChoiceFilter(choices=InvitationStatus.choices, method="in_status")
    role = django_filters.ChoiceFilter(choices=Role.choices)

    class Meta:
        model = Invitation
        fields = ["email", "role", "status"]

    def in_status(self, rows: InvitationQuerySet, name: str, value: str) -> InvitationQuerySet:
        return rows.in_status(value)
