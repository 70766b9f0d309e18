"""`{% flag "datasets.fetch" as can_fetch %}`: whether the organization of this page has a feature."""

from __future__ import annotations

from django import template
from django.template.context import Context

from apps.organizations import flags

register = template.Library()


@register.simple_tag(takes_context=True)
def flag(context: Context, name: str) -> bool:
    return flags.is_on(name, context["request"].organization.pk)
