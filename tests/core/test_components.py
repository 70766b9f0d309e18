import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django import forms
from django.contrib.auth.models import AnonymousUser
from django.http import HttpResponse
from django.template import engines
from django.test import RequestFactory
from django.test.signals import template_rendered
from hypothesis import given
from hypothesis import strategies as st

from apps.core import formatting
from apps.core.actors import Actor
from apps.core.paging import Page
from apps.core.styleguide import views
from apps.core.templatetags import components, navigation

ROOT = Path(__file__).resolve().parents[2]
COMPONENTS = ROOT / "templates" / "core" / "components"
ACME = SimpleNamespace(name="Acme", slug="acme")


def request_for(path: str = "/", *permissions: str) -> Any:
    request = RequestFactory().get(path)
    request.organization = ACME
    request.actor = Actor("user", None, "owner", frozenset(permissions))
    request.user = AnonymousUser()
    request.resolver_match = None
    request.id = "req_1"
    return request


def render(source: str, path: str = "/", **context: Any) -> str:
    return render_page("{% load core components %}" + source, path, **context)


def render_page(source: str, path: str = "/", **context: Any) -> str:
    return engines["django"].from_string(source).render(context, request_for(path))


class Elements(HTMLParser):
    """Every start tag of a document, with its attributes."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="module")
def catalogue() -> HttpResponse:
    return views.catalogue(request_for("/styleguide/"))


def text_of(response: HttpResponse) -> str:
    return response.content.decode()


def test_the_style_guide_draws_every_component() -> None:
    drawn: set[str] = set()

    def note(template: Any, **kwargs: Any) -> None:
        drawn.add(template.name or "")

    template_rendered.connect(note)
    try:
        views.catalogue(request_for("/styleguide/"))
    finally:
        template_rendered.disconnect(note)

    assert {f"core/components/{path.name}" for path in COMPONENTS.glob("*.html")} - drawn == set()


def test_no_component_writes_inline_style_or_script(catalogue: HttpResponse) -> None:
    elements = Elements(text_of(catalogue))

    assert [tag for tag, attributes in elements.found if "style" in attributes] == []
    assert [name for _, attributes in elements.found for name in attributes if re.match(r"on|hx-on", name)] == []
    assert elements.named("style") == []
    assert [script for script in elements.named("script") if not script.get("src")] == []


def test_ids_in_the_style_guide_are_unique(catalogue: HttpResponse) -> None:
    ids = [attributes["id"] for _, attributes in Elements(text_of(catalogue)).found if "id" in attributes]

    assert sorted(ids) == sorted(set(ids))


@pytest.mark.parametrize(("folder", "listing"), [("css", "stylesheets.html"), ("js", "modules.html")])
def test_every_stylesheet_and_module_is_loaded(folder: str, listing: str) -> None:
    static = ROOT / "static"
    files = {str(path.relative_to(static)) for path in (static / "core" / folder).rglob(f"*.{folder}")}
    base = (ROOT / "templates" / "base.html").read_text()
    loaded = (ROOT / "templates" / "core" / listing).read_text() + base

    assert {name for name in files if name not in loaded} == set()


def test_modules_import_nothing_because_static_files_are_renamed_by_content() -> None:
    sources = [path.read_text() for path in (ROOT / "static" / "core" / "js").glob("*.js")]

    assert sources
    assert not any(re.search(r"^\s*import\b|\bimport\(|\beval\(|new Function", source, re.M) for source in sources)


def test_the_heading_and_the_document_title_are_one_text() -> None:
    page = render_page('{% extends "core/shell.html" %}{% block title %}{{ name }}{% endblock %}', name="<b>A&B</b>")

    assert "<h1>&lt;b&gt;A&amp;B&lt;/b&gt;</h1>" in page
    assert "<title>&lt;b&gt;A&amp;B&lt;/b&gt; · Acme · Modelyard</title>" in page


def test_navigation_shows_only_what_exists_and_may_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = {"console:home": "/o/acme/", "jobs:job-list": "/o/acme/jobs/", "usage:usage": "/o/acme/usage/"}

    def link(organization: Any, name: str) -> str:
        if name not in addresses:
            raise navigation.NoReverseMatch
        return addresses[name]

    monkeypatch.setattr(navigation.http, "link", link)
    request = request_for("/o/acme/jobs/", "jobs.read", "datasets.read")
    request.resolver_match = SimpleNamespace(view_name="jobs:job-detail")

    shown = [place for group in navigation.places(request) for place in group]

    assert [(place.entry.label, place.is_current) for place in shown] == [("Home", False), ("Jobs", True)]


def test_keys_of_the_navigation_are_unique() -> None:
    keys = [*(entry.keys for group in navigation.GROUPS for entry in group), "g n"]

    assert len(keys) == len(set(keys))


def test_a_column_sorts_keeps_other_parameters_and_starts_paging_again() -> None:
    header = render('{% column "Rows" sort="rows" numeric=True %}', "/?status=failed&cursor=abc")

    assert 'href="?status=failed&amp;sort=rows"' in header
    assert "aria-sort" not in header


def test_a_column_sorted_once_offers_the_other_direction() -> None:
    header = render('{% column "Rows" sort="rows" %}', "/?sort=rows")

    assert 'aria-sort="ascending"' in header
    assert 'href="?sort=-rows"' in header


def test_a_pager_keeps_filters_and_shows_only_the_pages_there_are() -> None:
    page = Page(rows=[], next_cursor="n1", previous_cursor=None)

    pager = render("{% pager page %}", "/?status=failed&cursor=old", page=page)

    assert 'href="?status=failed&amp;cursor=n1"' in pager
    assert "Previous" not in pager
    assert render("{% pager page %}", page=Page([], None, None)).strip() == ""


def test_filters_mark_the_choice_and_show_counts() -> None:
    group = render(
        '{% filter_group "Status" "status" options %}', "/?status=failed&q=x", options=[("failed", "Failed", 1200)]
    )

    chosen = [link for link in Elements(group).named("a") if link.get("aria-current")]
    assert [link["href"] for link in chosen] == ["?status=failed&q=x"]
    assert "1,200" in group


def test_a_search_keeps_the_other_parameters_but_not_the_page() -> None:
    box = Elements(render('{% search_box "Search" %}', "/list/?status=failed&cursor=old&q=churn"))

    fields = {field["name"]: field["value"] for field in box.named("input")}
    assert fields == {"status": "failed", "q": "churn"}


class Sample(forms.Form):
    name = forms.CharField(help_text="Shown in lists.")
    agreed = forms.BooleanField()
    size = forms.ChoiceField(choices=[("s", "Small")], widget=forms.RadioSelect, required=False)


def test_a_field_ties_its_label_help_and_error_to_its_control() -> None:
    form = Sample({"name": ""})
    html = render("{% field form.name %}", form=form)
    elements = Elements(html)
    (control,) = elements.named("input")

    assert [label["for"] for label in elements.named("label")] == [control["id"]]
    described = (control["aria-describedby"] or "").split()
    assert described == ["id_name_error", "id_name_help"]
    assert all(f'id="{name}"' in html for name in described)
    assert control["aria-invalid"] == "true"


def test_a_field_keeps_the_typed_value_escaped() -> None:
    form = Sample({"name": '"><script>alert(1)</script>'})

    assert "<script>" not in render("{% field form.name %}", form=form)


def test_choices_are_a_fieldset_with_a_legend_and_a_tick_box_has_its_label_after_it() -> None:
    form = Sample()

    assert Elements(render("{% field form.size %}", form=form)).named("legend")
    tick = render("{% field form.agreed %}", form=form)
    assert tick.index("<input") < tick.index("<label")


def test_attributes_of_a_button_become_dashed_and_escaped() -> None:
    (button,) = Elements(render('{% button "Go" hx_post=url type="button" %}', url='/x"y')).named("button")

    assert (button["hx-post"], button["type"]) == ('/x"y', "button")


def test_a_button_submits_unless_told_otherwise_and_a_link_has_no_type() -> None:
    assert Elements(render('{% button "Go" %}')).named("button")[0]["type"] == "submit"
    assert "type" not in Elements(render('{% button "Go" href="/x" %}')).named("a")[0]


def test_an_icon_only_button_speaks_its_label() -> None:
    assert '<span class="visually-hidden">Retry</span>' in render('{% button "Retry" icon="x" only_icon=True %}')


def test_code_shows_what_a_user_typed_as_text() -> None:
    assert "&lt;img src=x&gt;" in render('{% code "JSON" %}{{ text }}{% endcode %}', text="<img src=x>")


def test_a_snippet_has_a_tab_for_each_language_and_shows_the_first() -> None:
    source = "{% snippet %}{% for n in names %}{% code n %}call {{ n }}{% endcode %}{% endfor %}{% endsnippet %}"
    elements = Elements(render(source, names=["curl", "Python"]))

    assert [tab["aria-selected"] for tab in elements.named("button") if tab.get("role") == "tab"] == ["true", "false"]
    assert ["hidden" in panel for panel in elements.named("div") if panel.get("role") == "tabpanel"] == [False, True]


@given(st.text(min_size=1, max_size=30))
def test_a_destroying_dialog_accepts_exactly_the_name(name: str) -> None:
    pattern = components._literal_pattern(name)

    assert re.fullmatch(pattern, name)
    assert not re.fullmatch(pattern, name + "x")
    assert not re.fullmatch(pattern, "x" + name)


def test_a_confirming_dialog_carries_the_csrf_token_and_asks_for_no_name() -> None:
    html = render('{% confirm_dialog id="d" title="Stop?" action="/stop/" %}Text{% endconfirm_dialog %}')

    token, *others = Elements(html).named("input")
    assert token["name"] == "csrfmiddlewaretoken"
    assert len(token["value"] or "") > 20
    assert others == []


@pytest.mark.parametrize(("share", "value"), [(-0.2, "0.0"), (0.425, "42.5"), (7, "100.0")])
def test_progress_stays_between_nothing_and_all(share: float, value: str) -> None:
    assert Elements(render("{% progress share %}", share=share)).named("progress")[0]["value"] == value


def test_progress_says_its_step_and_what_is_left() -> None:
    html = render('{% progress 0.5 step="fold 2 of 5" left_s=84 %}')

    assert "fold 2 of 5" in html
    assert "about 1 m 24 s left" in html
    assert "almost done" in render("{% progress 0.99 left_s=0.26 %}")


def test_progress_of_something_without_an_estimate_tells_none() -> None:
    html = render("{% progress job.progress left_s=job.eta.total_seconds %}", job={"progress": 0.5, "eta": None})

    assert "left" not in html.replace("progress-left", "")


def test_a_status_is_an_icon_and_a_word_even_if_nobody_knows_it() -> None:
    html = render('{% status "half_baked" %}')

    assert "Half baked" in html
    assert "<svg" in html
    assert "status-neutral" in html


def test_nothing_measured_is_a_dash_and_never_zero() -> None:
    filters = ["bytes", "count", "signif", "percent", "duration_ms", "money_micro_usd", "when", "exactly"]

    assert {render(f"{{{{ value|{name} }}}}", value=None) for name in filters} == {formatting.ABSENT}
    assert {render(f"{{{{ absent.attribute|{name} }}}}") for name in filters} == {formatting.ABSENT}


@pytest.mark.parametrize("status", [400, 403, 404, 413, 500])
def test_an_error_page_says_what_to_do_and_which_request_it_was(status: int) -> None:
    response = views.error(request_for(), status)

    assert response.status_code == status
    assert "req_1" in text_of(response)
    assert 'class="error-detail">' in text_of(response)


@pytest.mark.parametrize("name", ["400.html", "403.html", "404.html", "500.html"])
def test_djangos_own_error_pages_render_without_a_request(name: str) -> None:
    page = engines["django"].get_template(name).render()

    assert f'<p class="error-status">{name[:3]}</p>' in page
