"""Words of the console's templates. Its look is not ours, so what our own style sheets hide is left out here."""

from __future__ import annotations

from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.core.formatting import ABSENT, format_moment, format_relative

register = template.Library()


@register.filter
def ago(at: datetime | None) -> SafeString | str:
    """How long ago, with the moment on hover."""
    if not at:
        return ABSENT
    return format_html('<span title="{}">{}</span>', format_moment(at), format_relative(at, timezone.now()))
