"""The components pages are built from. `docs/components.md` shows each one; `/styleguide/` draws it in every state.

A component that wraps content is a block tag (`{% panel "Title" %}...{% endpanel %}`), any other an inclusion tag.
Extra keyword arguments become attributes: `hx_post=url` is written as `hx-post="..."`.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import qrcode
from django import template
from django.forms import BoundField
from django.forms.utils import flatatt
from django.template.base import NodeList, Parser, Token
from django.template.context import Context
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe
from qrcode.image.svg import SvgPathImage

from apps.core import charts, formatting, stacked_charts, time_ranges, timelines
from apps.core.paging import Page
from apps.core.templatetags.core import known, query

register = template.Library()

UPTIME_STEP = 10
UPTIME_MOST = 0.95
NOTICE_ICONS = {
    "neutral": "info",
    "accent": "info",
    "success": "circle-check",
    "warning": "triangle-alert",
    "danger": "circle-alert",
}


def _attributes(given: dict[str, Any]) -> SafeString:
    return flatatt({name.replace("_", "-"): value for name, value in given.items() if value is not None})


def _render(component: str, **context: Any) -> SafeString:
    return render_to_string(f"core/components/{component}.html", context)


def _trimmed(content: str, characters: str | None = None) -> SafeString:
    """The content of a block tag, which the template engine has escaped already, without the space around it."""
    return mark_safe(content.strip(characters))  # noqa: S308


# Actions


@register.inclusion_tag("core/components/button.html")
def button(
    label: str, href: str = "", icon: str = "", variant: str = "secondary", only_icon: bool = False, **attributes: Any
) -> dict[str, Any]:
    """A link with `href`, else a button (`type="submit"` unless told otherwise).

    Variants: primary, secondary, ghost, danger. `only_icon` shows the icon and speaks the label.
    """
    if not href:
        attributes.setdefault("type", "submit")
    return {
        "label": label,
        "href": href,
        "icon": icon,
        "variant": variant,
        "only_icon": only_icon,
        "attributes": _attributes(attributes),
    }


@register.inclusion_tag("core/components/copy.html")
def copy(text: str, label: str = "Copy") -> dict[str, Any]:
    """An id or address with a button that copies it."""
    return {"text": text, "label": label}


@register.inclusion_tag("core/components/qr.html")
def qr(text: str, label: str) -> dict[str, Any]:
    """`text` as a QR code, on white in both themes because cameras need it so."""
    drawing = qrcode.make(text, image_factory=SvgPathImage).to_string()
    return {"source": f"data:image/svg+xml;base64,{base64.b64encode(drawing).decode()}", "label": label}


@register.simple_block_tag
def menu(content: str, label: str, icon: str = "", up: bool = False) -> SafeString:
    """A button that opens a panel of `{% menu_item %}`."""
    return _render("menu", content=content, label=label, icon=icon, up=up)


@register.inclusion_tag("core/components/menu_item.html")
def menu_item(label: str, href: str = "", icon: str = "", **attributes: Any) -> dict[str, Any]:
    """One line of a menu: a link with `href`, else a button."""
    attributes.setdefault("type", None if href else "submit")
    return {"label": label, "href": href, "icon": icon, "attributes": _attributes(attributes)}


@register.simple_block_tag(takes_context=True)
def confirm_dialog(
    context: Context,
    content: str,
    *,
    id: str,
    title: str,
    action: str,
    submit: str = "Confirm",
    name: str = "",
    variant: str = "primary",
) -> SafeString:
    """A dialog that posts to `action`; with `name` it is destructive and asks for that name (sent as `confirmation`).

    Opened by any button with `data_dialog=id`.
    """
    return _render(
        "confirm_dialog",
        content=content,
        id=id,
        title=title,
        action=action,
        submit=submit,
        name=name,
        variant="danger" if name else variant,
        pattern=_literal_pattern(name),
        csrf_token=context.get("csrf_token"),
    )


def _literal_pattern(text: str) -> str:
    """`text` as an HTML `pattern`, whose regular expressions forbid needless escapes."""
    return re.sub(r"[\\^$.*+?()[\]{}|/]", r"\\\g<0>", text)


# Page parts


@register.inclusion_tag("core/components/crumb.html")
def crumb(label: str, href: str = "") -> dict[str, Any]:
    """One step of the breadcrumbs; the last one has no `href`."""
    return {"label": label, "href": href}


@register.simple_block_tag
def panel(content: str, title: str = "", note: str = "", flush: bool = False, id: str = "") -> SafeString:
    """A framed section; `flush` lets a table or log reach the frame."""
    return _render("panel", content=content, title=title, note=note, flush=flush, id=id)


@register.simple_block_tag
def notice(content: str, tone: str = "neutral", title: str = "") -> SafeString:
    """Something to know on this page. Tones: neutral, accent, success, warning, danger."""
    return _render("notice", content=content, tone=tone, title=title, icon=NOTICE_ICONS[tone])


@register.simple_block_tag
def empty_state(content: str, title: str, text: str = "", icon: str = "inbox") -> SafeString:
    """What would be here, and the one action that brings it; the content is the action and perhaps a snippet."""
    return _render("empty_state", content=_trimmed(content), title=title, text=text, icon=icon)


@register.simple_block_tag
def facts(content: str) -> SafeString:
    """A row of `{% fact %}` under the title."""
    return _render("facts", content=content, kind="facts")


@register.simple_block_tag
def key_values(content: str) -> SafeString:
    """A list of `{% fact %}`, one under the other."""
    return _render("facts", content=content, kind="key-values")


@register.inclusion_tag("core/components/fact.html")
def fact(label: str, value: Any, href: str = "", mono: bool = False) -> dict[str, Any]:
    return {"label": label, "value": formatting.ABSENT if value in (None, "") else value, "href": href, "mono": mono}


@register.simple_block_tag
def stats(content: str) -> SafeString:
    """A strip of `{% stat %}`."""
    return _render("stats", content=content)


@register.inclusion_tag("core/components/stat.html")
def stat(label: str, value: Any, unit: str = "", note: str = "", primary: bool = False) -> dict[str, Any]:
    """A number; the `primary` one is the largest thing on its page."""
    return {"label": label, "value": value, "unit": unit, "note": note, "primary": primary}


@register.simple_block_tag
def tabs(content: str, label: str) -> SafeString:
    """Tabs that are links: the address is the state."""
    return _render("tabs", content=content, label=label)


@register.inclusion_tag("core/components/tab.html")
def tab(label: str, href: str, current: bool = False, count: int | str | None = None) -> dict[str, Any]:
    """`count` may be words, such as "1,000+"."""
    number = formatting.format_count(count) if isinstance(count, int) else known(count)
    return {"label": label, "href": href, "current": current, "count": number}


ERRORS = {
    400: ("This request does not work", "Something in it could not be read. Go back, reload the page and try again."),
    403: (
        "You may not open this",
        "Your account has no right to it. Ask whoever runs this installation.",
    ),
    404: ("There is nothing here", "It was deleted or never existed, or you cannot see it. Check the address."),
    429: ("Not so fast", "These were too many tries in a short time. Wait a minute, then try again."),
    500: ("Something failed on our side", "It has been recorded. Try again in a moment; nothing half-done was kept."),
}
OTHER_ERROR = ("This was refused", "Go back and try again.")


@register.inclusion_tag("core/components/error_message.html")
def error_message(status: int, detail: str = "", request_id: str = "", back_url: str = "") -> dict[str, Any]:
    """What happened, what to do, where to go from here, and the request id to quote."""
    title, advice = ERRORS.get(int(status or 500), OTHER_ERROR)
    return {
        "status": status,
        "title": title,
        "detail": detail or advice,
        "request_id": request_id,
        "back_url": back_url,
    }


# Tables


@register.simple_block_tag
def table(content: str, label: str, stacked: bool = False) -> SafeString:
    """A table with a sticky header; the content is `<thead>` and `<tbody>`.

    `stacked` puts a row's cells below each other where the screen is narrow: for cells that need no heading.
    """
    return _render("table", content=content, label=label, stacked=stacked)


@register.inclusion_tag("core/components/column.html", takes_context=True)
def column(
    context: Context, label: str, *, sort: str = "", numeric: bool = False, note: str = "", hidden_label: bool = False
) -> dict[str, Any]:
    """A header cell; with `sort` a link that sets `?sort=<sort>` or `?sort=-<sort>` and keeps the other parameters."""
    current = context["request"].GET.get("sort", "") if sort else ""
    direction = {sort: "ascending", f"-{sort}": "descending"}.get(current, "") if sort else ""
    wanted = f"-{sort}" if direction == "ascending" else sort
    return {
        "label": label,
        "numeric": numeric,
        "note": note,
        "hidden_label": hidden_label,
        "direction": direction,
        "url": query(context, sort=wanted) if sort else "",
    }


@register.inclusion_tag("core/components/pager.html", takes_context=True)
def pager(context: Context, page: Page, note: str = "") -> dict[str, Any]:
    """Links to the pages before and after a `core.paging.Page`; nothing where there is one page."""
    return {
        "next_url": query(context, cursor=page.next_cursor) if page.next_cursor else "",
        "previous_url": query(context, cursor=page.previous_cursor) if page.previous_cursor else "",
        "note": note,
    }


@register.simple_block_tag
def filter_bar(content: str) -> SafeString:
    """A row of `{% filter_group %}` and `{% search_box %}` above a table."""
    return _render("filter_bar", content=content)


@register.inclusion_tag("core/components/filter_group.html", takes_context=True)
def filter_group(context: Context, label: str, name: str, options: Any, instead_of: str = "") -> dict[str, Any]:
    """Choices for `?<name>=`; `options` are (value, label, count) and the first choice is all of them.

    A count may be words, such as "1,000+". A choice also takes away the parameters that `instead_of` names, with
    spaces between them.
    """
    chosen = context["request"].GET.get(name, "")
    others = dict.fromkeys(instead_of.split())
    choices = [
        {
            "label": text,
            "count": formatting.format_count(number) if isinstance(number, int) else number,
            "url": query(context, **{**others, name: value}),
            "current": str(value) == chosen,
        }
        for value, text, number in options
    ]
    every = {"label": "All", "count": None, "url": query(context, **{name: None}), "current": not chosen}
    return {"label": label, "choices": [every, *choices]}


@register.inclusion_tag("core/components/filter_chips.html", takes_context=True)
def filter_chips(context: Context, chips: Sequence[Any]) -> dict[str, Any]:
    """The filters that are on: each of `chips` has `name` (its parameter), `label`, `value`; a link takes it away."""
    return {"chips": [{"chip": one, "url": query(context, **{one.name: None})} for one in chips]}


@register.simple_block_tag
def disclosure(
    content: str, label: str, icon: str = "", count: int = 0, open: bool = False, id: str = ""
) -> SafeString:
    """A button that shows the rest in place, with how many of it count (nothing for 0).

    With an `id` a live update leaves it as the person left it.
    """
    return _render("disclosure", content=content, label=label, icon=icon, count=count, open=open, id=id)


@register.inclusion_tag("core/components/new_rows.html")
def new_rows(count: int, href: str, most: int = 99) -> dict[str, Any]:
    """A line above a table: so many rows came since it was drawn, and a link that shows them. Nothing for 0."""
    return {"count": f"{most}+" if count > most else count, "is_any": count > 0, "href": href}


@register.inclusion_tag("core/components/time_range.html", takes_context=True)
def time_range(
    context: Context, chosen: time_ranges.TimeRange, ranges: Mapping[str, time_ranges.TimeRange] = time_ranges.RANGES
) -> dict[str, Any]:
    """The choice of a time range for `?range=`."""
    return {"choices": [(one, query(context, range=one.name), one == chosen) for one in ranges.values()]}


@register.inclusion_tag("core/components/search_box.html", takes_context=True)
def search_box(context: Context, label: str, name: str = "q", target: str = "") -> dict[str, Any]:
    """A search that keeps the other parameters; with `target` (a CSS selector) it replaces that part while typing."""
    parameters = context["request"].GET
    others = [(key, value) for key, value in parameters.items() if key not in (name, "cursor")]
    return {
        "label": label,
        "name": name,
        "value": parameters.get(name, ""),
        "others": others,
        "target": target,
        "path": context["request"].path,
    }


# Forms


@register.inclusion_tag("core/components/field.html")
def field(bound: BoundField, help: str = "", **attributes: Any) -> dict[str, Any]:
    """One form field: label, control, help, errors, and how they belong together."""
    kind = _kind_of(bound)
    return {
        "field": bound,
        "kind": kind,
        "control": _control(bound, kind, help, attributes),
        "help": help or bound.help_text,
        "errors": bound.errors,
        "id": bound.id_for_label or bound.auto_id,
    }


def _kind_of(bound: BoundField) -> str:
    if bound.use_fieldset:
        return "choices"
    return "check" if getattr(bound.field.widget, "input_type", "") == "checkbox" else "input"


def _control(bound: BoundField, kind: str, help: str, attributes: dict[str, Any]) -> SafeString:
    id = bound.id_for_label or bound.auto_id
    described = [f"{id}_error"] if bound.errors else []
    described += [f"{id}_help"] if help or bound.help_text else []
    attrs = {name.replace("_", "-"): value for name, value in attributes.items()}
    if described and kind != "choices":
        attrs["aria-describedby"] = " ".join(described)
    if kind == "input":
        attrs["class"] = "input"
    return bound.as_widget(attrs=attrs)


@register.inclusion_tag("core/components/suggestions.html")
def suggestions(id: str, options: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """What a text field offers while one types: (value, label). The field names it by its attribute `list`."""
    return {"id": id, "options": options}


@register.inclusion_tag("core/components/choice_grid.html")
def choice_grid(bound: BoundField, columns: str, rows: Any) -> dict[str, Any]:
    """A multiple choice as a table: `columns` are headings with commas between them, the first one of the rows' labels.

    Each of `rows` has `label`, `note`, and `cells`: for each other column its choices as (value, text).
    """
    return {
        "field": bound,
        "id": bound.auto_id,
        "chosen": [str(value) for value in bound.value() or ()],
        "columns": columns.split(","),
        "rows": rows,
        "help": bound.help_text,
        "errors": bound.errors,
    }


@register.inclusion_tag("core/components/form_errors.html")
def form_errors(form: Any) -> dict[str, Any]:
    """What is wrong with the form as a whole."""
    return {"errors": form.non_field_errors()}


@register.inclusion_tag("core/components/dropzone.html")
def dropzone(bound: BoundField, prompt: str = "Drop a file here, or choose one", limit: str = "") -> dict[str, Any]:
    """A file field to drop on, with the upload's progress; needs a form with `data-upload` and multipart encoding."""
    described = [f"{bound.id_for_label}_limit"] + ([f"{bound.id_for_label}_error"] if bound.errors else [])
    return {
        "field": bound,
        "id": bound.id_for_label,
        "control": bound.as_widget(attrs={"aria-describedby": " ".join(described)}),
        "prompt": prompt,
        "limit": limit or bound.help_text,
        "errors": bound.errors,
    }


# Progress and logs


def _left(seconds: float) -> str:
    return f"about {formatting.format_duration(seconds * 1000)} left" if seconds >= 1 else "almost done"


@register.inclusion_tag("core/components/progress.html")
def progress(
    share: float | None, step: str = "", left_s: float | None = None, tone: str = "", label: str = "Progress"
) -> dict[str, Any]:
    """How far work is (`share` from 0 to 1, None before it starts), its step, and the seconds left.

    Tones: none while it runs, success, warning, danger.
    """
    share, left_s = known(share), known(left_s)
    return {
        "label": label,
        "value": None if share is None else round(min(max(share, 0.0), 1.0) * 100, 1),
        "percent": "" if share is None else formatting.format_part(min(max(share, 0.0), 1.0)),
        "step": step,
        "left": "" if left_s is None else _left(left_s),
        "tone": tone,
    }


@register.simple_block_tag
def log_viewer(content: str, label: str, empty: str = "No lines yet.", follow: bool = False) -> SafeString:
    """Log lines (`{% log_line %}`) in a scrolling box; with `follow` it stays at the end unless scrolled away."""
    return _render("log_viewer", content=_trimmed(content), label=label, empty=empty, follow=follow)


@register.inclusion_tag("core/components/log_line.html")
def log_line(at: datetime, level: str, text: str, fields: Mapping[str, Any] | str = "") -> dict[str, Any]:
    """A line; `fields` are what a program told beside its text, by name."""
    return {"at": at, "level": level, "text": text, "fields": [*fields.items()] if isinstance(fields, Mapping) else []}


# Code


class SnippetNode(template.Node):
    """`{% snippet %}{% code "curl" %}...{% endcode %}...{% endsnippet %}`: the same call in several languages."""

    def __init__(self, nodelist: NodeList) -> None:
        self.nodelist = nodelist

    def render(self, context: Context) -> SafeString:
        with context.push(code_samples=[]):
            self.nodelist.render(context)
            samples = context["code_samples"]
        return _render("snippet", samples=samples)


@register.tag
def snippet(parser: Parser, token: Token) -> SnippetNode:
    nodelist = parser.parse(("endsnippet",))
    parser.delete_first_token()
    return SnippetNode(nodelist)


@register.simple_block_tag(takes_context=True)
def code(context: Context, content: str, label: str = "", title: str = "", *, wraps: bool = False) -> str | SafeString:
    """A block of code with a copy button; inside `{% snippet %}` one of its tabs, called `label`."""
    text = _trimmed(content, "\n ")
    samples = context.get("code_samples")
    if samples is None:
        return _render("code", text=text, label=label, title=title or label, wraps=wraps)
    samples.append({"label": label, "text": text})
    return ""


# Uptime


@register.inclusion_tag("core/components/uptime_strip.html")
def uptime_strip(
    slots: Sequence[Any], period: str, share: float | None, label: str = "", by_day: bool = False
) -> dict[str, Any]:
    """How much of each stretch of time something worked, and of all of it.

    A slot has `start` and `share`, which is None where nobody looked. Its days are UTC's, the same for everybody.
    """
    bars = [
        {
            "left": index * UPTIME_STEP,
            "level": _uptime_level(slot.share),
            "title": f"{_day(slot.start) if by_day else _clock(slot.start)}: {_uptime_text(slot.share)}",
        }
        for index, slot in enumerate(slots)
    ]
    return {
        "bars": bars,
        "width": len(bars) * UPTIME_STEP,
        "label": f"{label}, {period}",
        "summary": _uptime_text(share),
        "first": f"{period} ago",
        "last": "today" if by_day else "now",
    }


def _day(start: datetime) -> str:
    return f"{formatting.format_day(start.astimezone(UTC))} UTC"


def _clock(start: datetime) -> str:
    local = timezone.localtime(start)
    return f"{formatting.format_clock(local)} {formatting.format_offset(local)}"


def _uptime_level(share: float | None) -> str:
    if share is None:
        return "none"
    return "full" if share == 1 else "most" if share >= UPTIME_MOST else "down"


def _uptime_text(share: float | None) -> str:
    """Rounded down: what failed once was not up all the time."""
    return "not probed" if share is None else f"{formatting.format_significant(math.floor(share * 10_000) / 100)}% up"


# Charts


@register.filter
def axis_width(ticks: Sequence[charts.Tick]) -> int:
    return charts.axis_width(ticks)


@register.inclusion_tag("core/components/time_series.html")
def time_series(chart: charts.TimeSeries) -> dict[str, Any]:
    return {"chart": chart}


@register.inclusion_tag("core/components/bar_chart.html")
def bar_chart(chart: charts.BarChart) -> dict[str, Any]:
    return {"chart": chart}


@register.inclusion_tag("core/components/stacked_chart.html")
def stacked_chart(chart: stacked_charts.StackedChart) -> dict[str, Any]:
    return {"chart": chart}


@register.inclusion_tag("core/components/histogram.html")
def histogram(chart: charts.Histogram) -> dict[str, Any]:
    return {"chart": chart}


@register.inclusion_tag("core/components/comparison.html")
def comparison(chart: charts.Comparison) -> dict[str, Any]:
    return {"chart": chart}


@register.inclusion_tag("core/components/timeline.html")
def timeline(chart: timelines.Timeline) -> dict[str, Any]:
    return {"chart": chart}
