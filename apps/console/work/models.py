from __future__ import annotations

from apps.organizations.models import Organization


class OrganizationLoad(Organization):
    """An organization as somebody who shares the workers with others."""

    class Meta:
        proxy = True
        verbose_name = "load of an organization"
        verbose_name_plural = "loads of organizations"
