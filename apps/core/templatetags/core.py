"""The words of every template: links inside the organization, icons, statuses, numbers and times."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from django import template
from django.template.base import Parser, Token
from django.template.context import Context
from django.template.loader_tags import BLOCK_CONTEXT_KEY
from django.utils import timezone
from django.utils.html import conditional_escape, format_html, strip_tags
from django.utils.safestring import SafeString, mark_safe
from lucide.templatetags.lucide import lucide

from apps.core import formatting, http

register = template.Library()

BACKTICKS = re.compile(r"`(.+?)`")


@register.simple_tag(takes_context=True)
def link(context: Context, name: str, *args: Any) -> str:
    """The address of a page inside the organization of this request."""
    return http.link(context["request"].organization, name, *args)


@register.simple_tag(takes_context=True)
def query(context: Context, **changes: Any) -> str:
    """This page's query string with `changes`: None removes a parameter, and paging starts again."""
    parameters = context["request"].GET.copy()
    parameters.pop("cursor", None)
    for name, value in changes.items():
        if value is None or value == "":
            parameters.pop(name, None)
        else:
            parameters[name] = value
    return f"?{parameters.urlencode()}"


@cache
def _icon(name: str, size: int) -> str:
    return lucide(name, size=size, aria_hidden="true", focusable="false")


@register.simple_tag
def icon(name: str, size: int = 16, label: str = "") -> str:
    """An inline Lucide icon; decoration unless `label` says what it means."""
    svg = _icon(str(name), size)
    return format_html('{}<span class="visually-hidden">{}</span>', svg, label) if label else svg


@dataclass(frozen=True, slots=True)
class Tone:
    """How a status looks: its colour family, its icon, and whether the icon turns."""

    name: str
    icon: str
    is_turning: bool = False


WAITING = Tone("neutral", "clock")
WORKING = Tone("accent", "loader-circle", is_turning=True)
GOOD = Tone("success", "circle-check")
WARNING = Tone("warning", "triangle-alert")
BAD = Tone("danger", "circle-x")
STOPPED = Tone("neutral", "circle-stop")
UNKNOWN = Tone("neutral", "circle-dashed")

TONES = {
    **dict.fromkeys(("queued", "pending", "waiting", "scheduled", "created", "draft"), WAITING),
    **dict.fromkeys(("running", "starting", "stopping", "processing", "uploading", "profiling", "cancelling"), WORKING),
    **dict.fromkeys(("succeeded", "ready", "healthy", "active", "completed", "accepted", "paid", "enabled"), GOOD),
    **dict.fromkeys(("degraded", "warning", "retrying", "unhealthy", "expiring", "partial"), WARNING),
    **dict.fromkeys(("failed", "error", "crashed", "rejected", "lost", "expired", "refused", "dead"), BAD),
    **dict.fromkeys(("cancelled", "canceled", "stopped", "archived", "revoked", "disabled", "skipped"), STOPPED),
}


def tone_of(status_value: str) -> Tone:
    """The look of a status; one no table knows is neutral rather than wrong."""
    return TONES.get(status_value.lower(), UNKNOWN)


@register.inclusion_tag("core/components/status.html")
def status(value: Any, label: str = "", plain: bool = False) -> dict[str, Any]:
    """A status as icon and word; `plain` leaves out the frame, for dense tables."""
    text = str(value)
    return {"tone": tone_of(text), "label": label or text.replace("_", " ").capitalize(), "plain": plain}


def known(value: Any) -> Any:
    """None for what is missing too: Django hands a tag or filter an empty string where an attribute does not exist."""
    return None if value == "" else value


@register.filter(name="bytes")
def bytes_(size: float | None) -> str:
    return formatting.format_bytes(known(size))


@register.filter
def count(number: float | None) -> str:
    return formatting.format_count(known(number))


@register.filter
def signif(number: float | None, digits: int = 4) -> str:
    return formatting.format_significant(known(number), digits)


@register.filter
def percent(share: float | None, digits: int = 3) -> str:
    return formatting.format_percent(known(share), digits)


@register.filter
def duration_ms(milliseconds: float | None) -> str:
    return formatting.format_duration(known(milliseconds))


@register.filter
def money_micro_usd(micro_usd: int | None) -> str:
    return formatting.format_money(known(micro_usd))


@register.filter
def when(at: datetime | None) -> str:
    """A `<time>`: relative to now and kept so by the page; the exact moment on hover, on focus and when read aloud."""
    return _abridged(at, lambda local: formatting.format_relative(local, timezone.localtime()), is_kept=True)


@register.filter
def on_day(at: datetime | None) -> str:
    """A `<time>` with the day alone; the exact moment on hover, on focus and when read aloud."""
    return _abridged(at, formatting.format_date)


@register.filter
def exactly(at: datetime | None) -> str:
    """A `<time>` with the exact moment, for logs and trails; its offset on hover, on focus and when read aloud."""
    if not at:
        return formatting.ABSENT
    local = timezone.localtime(at)
    return format_html(
        '<time datetime="{}" title="{}">{}<span class="visually-hidden"> {}</span></time>',
        at.isoformat(timespec="milliseconds"),
        _both(local),
        formatting.format_time(local),
        formatting.format_offset(local),
    )


@register.filter
def spelled(at: datetime | None) -> str:
    """A moment for a mail, which says its zone."""
    return formatting.format_sentence(timezone.localtime(at)) if at else formatting.ABSENT


def _abridged(at: datetime | None, text: Callable[[datetime], str], *, is_kept: bool = False) -> str:
    if not at:
        return formatting.ABSENT
    local = timezone.localtime(at)
    return format_html(
        '<time{} datetime="{}" title="{}"><span aria-hidden="true">{}</span>'
        '<span class="visually-hidden">{}</span></time>',
        " data-when" if is_kept else "",
        at.isoformat(timespec="milliseconds"),
        _both(local),
        text(local),
        formatting.format_moment(local),
    )


def _both(local: datetime) -> str:
    """The moment here, and the same one as the API and other people's logs say it."""
    return f"{formatting.format_moment(local)}\n{formatting.format_iso(local)}"


@register.simple_tag
def server_time() -> str:
    """Now by the server's clock: a page tells by it how wrong the client's is."""
    return timezone.now().isoformat(timespec="milliseconds")


@register.filter
def with_code(text: Any) -> SafeString:
    """A refusal's text as HTML: what stands between backticks is code."""
    return mark_safe(BACKTICKS.sub(r"<code>\1</code>", conditional_escape(text)))  # noqa: S308


class BlockTextNode(template.Node):
    def __init__(self, name: str) -> None:
        self.name = name

    def render(self, context: Context) -> SafeString:
        """The text of a block that is rendered elsewhere too; `<title>` repeats the heading without its tags."""
        block = context.render_context[BLOCK_CONTEXT_KEY].get_block(self.name)
        text = strip_tags(block.render(context)) if block else ""
        # What the block printed was escaped when it was printed; escaping it again would show the entities.
        return mark_safe(" ".join(text.split()))  # noqa: S308


@register.tag
def block_text(parser: Parser, token: Token) -> BlockTextNode:
    """`{% block_text title %}`: the text of block `title`, once more."""
    _, name = token.split_contents()
    return BlockTextNode(name)
