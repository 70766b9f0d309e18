"""Numbers, money and times are formatted in `core.formatting` and nowhere else: read from the code, not believed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any, cast

import pytest
from django.conf import settings
from django.template import Engine, Template, engines
from django.template.base import Parser, Token, TokenType
from django.utils import formats, translation

from config.environment import ROOT

# Filters and tags of Django that format by themselves, in no zone or in another way than everybody else.
RAW_FILTERS = {
    *("date", "time", "timesince", "timeuntil", "floatformat", "filesizeformat", "localize", "unlocalize"),
    *("intcomma", "intword", "naturalday", "naturaltime", "apnumber", "ordinal", "localtime", "timezone", "utc"),
}
RAW_TAGS = {"now", "localtime", "timezone", "localize"}
RAW_METHODS = {"isoformat", "ctime"}
RAW_NAMES = {"date_format", "time_format", "number_format", "naturaltime", "naturalday", "intcomma", "filesizeformat"}
FOLDERS = [ROOT / "templates", *sorted((ROOT / "apps").rglob("templates"))]
TEMPLATES = [path for folder in FOLDERS for path in sorted(folder.rglob("*.*"))]
MODULES = [
    path
    for path in sorted((ROOT / "apps").rglob("*.py"))
    if "migrations" not in path.parts and path != ROOT / "apps/core/formatting.py"
]
# What is no text for people: cells of somebody's table, positions of a drawing, hours to compare.
NO_TEXT = {"apps/datasets/profiling.py": "strftime", "apps/gateway/routing.py": "strftime"}


def _engine() -> Engine:
    return engines["django"].engine  # type: ignore[attr-defined]


def raw_pieces_of(text: str, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The filters and tags that format by themselves, as Django's parser meets them in a template."""
    met: set[str] = set()
    find, parse, compiled = Parser.find_filter, Parser.parse, Parser.compile_filter

    def find_filter(self: Parser, name: str) -> Any:
        met.update({f"|{name}"} if name in RAW_FILTERS else ())
        return find(self, name)

    def compile_filter(self: Parser, token: str) -> Any:
        met.update(f".{name}" for name in RAW_METHODS & set(re.split(r"[.|]", token)))
        return compiled(self, token)

    def parsed(self: Parser, until: Any = None) -> Any:
        tokens = cast("list[Token]", self.tokens)
        tags = [token.contents.split()[0] for token in tokens if token.token_type == TokenType.BLOCK]
        met.update(f"{{% {tag} %}}" for tag in tags if tag in RAW_TAGS)
        return parse(self, until)

    with monkeypatch.context() as patched:
        patched.setattr(Parser, "find_filter", find_filter)
        patched.setattr(Parser, "parse", parsed)
        patched.setattr(Parser, "compile_filter", compile_filter)
        Template(text, engine=_engine())
    return met


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("{{ at|date:'Y' }}", {"|date"}),
        ("{% load l10n %}{{ at|default:now|localize }}", {"|localize"}),
        ("{% if a %}{% with b=a|floatformat %}{{ b }}{% endwith %}{% endif %}", {"|floatformat"}),
        ("{% load core components %}{% fact 'Size' size|filesizeformat %}", {"|filesizeformat"}),
        ("{{ at.date.isoformat }}", {".isoformat"}),
        ("{% load components %}{% panel 'x' %}{% now 'Y' %}{% endpanel %}", {"{% now %}"}),
        ("{% load core %}{{ at|when }} {# |date #} {% verbatim %}{{ at|date }}{% endverbatim %}date|time", set()),
    ],
)
def test_the_parser_meets_what_formats_by_itself(text: str, met: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert raw_pieces_of(text, monkeypatch) == met


def test_no_template_formats_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(TEMPLATES) > 150
    found = {str(path.relative_to(ROOT)): raw_pieces_of(path.read_text(), monkeypatch) for path in TEMPLATES}
    assert {path: pieces for path, pieces in found.items() if pieces} == {}


def formats_in(code: str) -> Iterator[str]:
    """What formats a time or separates thousands by itself in Python."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Attribute) and node.attr in {"strftime", *RAW_NAMES}:
            yield node.attr
        elif isinstance(node, ast.ImportFrom):
            yield from RAW_NAMES & {name.name for name in node.names}
        elif isinstance(node, ast.FormattedValue) and (spec := _spec(node)) and ("%" in spec[:-1] or "," in spec):
            yield f":{spec}"


def _spec(node: ast.FormattedValue) -> str:
    parts = node.format_spec.values if isinstance(node.format_spec, ast.JoinedStr) else []
    return "".join(part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str))


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ('at.strftime("%Y")', ["strftime"]),
        ('f"{at:%H:%M}"', [":%H:%M"]),
        ('f"{count:,} rows"', [":,"]),
        ("from django.utils.formats import date_format", ["date_format"]),
        ('f"{share:.1f}%" + f"{name!r:>10}"', []),
    ],
)
def test_the_code_that_formats_by_itself_is_seen(code: str, found: list[str]) -> None:
    assert list(formats_in(code)) == found


def test_no_code_formats_by_itself() -> None:
    assert len(MODULES) > 200
    found = {str(path.relative_to(ROOT)): list(formats_in(path.read_text())) for path in MODULES}
    assert {path: pieces for path, pieces in found.items() if pieces} == {
        path: [piece] for path, piece in NO_TEXT.items()
    }


def test_the_console_says_times_with_their_zone() -> None:
    with translation.override(settings.LANGUAGE_CODE):
        assert formats.get_format("DATETIME_FORMAT") == "Y-m-d H:i:s T"
