"""Parts of names are found by walking or by the index, alike, and never outside the organization."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import ProgrammingError, connections, transaction
from django.utils import timezone

from apps.audit import queries, search, services
from apps.audit.models import AuditEntry
from apps.core import tenancy
from apps.core.actors import Actor
from apps.organizations.models import Project

pytestmark = pytest.mark.django_db

NAMES = ("churn", "50% off", "500 off", "a_b", "axb", "back\\slash", "Äpfel", "forecast")


@pytest.fixture
def named(in_acme: Any, actor: Actor) -> dict[str, AuditEntry]:
    return {name: services.record(actor, "project.seen", Project(name=name)) for name in NAMES}


@pytest.fixture(params=["walk", "index"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "index":
        monkeypatch.setattr(search, "NEWEST", 1)
        monkeypatch.setattr(search, "COMMON", 2)
    return request.param


def found(part: str) -> set[str]:
    entries = search.named(AuditEntry.objects.filter(action="project.seen"), part)
    return set(entries.values_list("subject_label", flat=True))


@pytest.mark.parametrize(
    ("part", "names"),
    [
        ("URN", {"churn"}),
        ("50%", {"50% off"}),
        ("a_b", {"a_b"}),
        ("k\\s", {"back\\slash"}),
        ("ÄPF", {"Äpfel"}),
        ("off", {"50% off", "500 off"}),
        ("nowhere", set()),
        ("owner@acme", set(NAMES)),
    ],
)
def test_walk_and_index_find_the_same(named: Any, way: str, part: str, names: set[str]) -> None:
    assert found(part) == names


def test_what_more_entries_say_than_are_handed_over_is_found_too(
    named: Any, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MOST", 3)
    assert found("owner@acme") == set(NAMES)


def test_s1_the_search_function_answers_nothing_of_another_organization(named: Any, acme: Any, globex: Any) -> None:
    assert len(search._found("owner@acme") or []) > len(NAMES)
    with tenancy.scope(globex.pk):
        assert search._found("owner@acme") == search._found("churn") == []
        assert search._found("outsider@globex")
    with tenancy.no_scope():
        assert search._found("owner@acme") == []


def test_s1_only_the_roles_that_serve_may_search(in_acme: Any) -> None:
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT has_function_privilege('public', 'audit_named(text, integer)', 'EXECUTE')")
        assert cursor.fetchone() == (False,)
    with pytest.raises(ProgrammingError), transaction.atomic(), connections["default"].cursor() as cursor:
        cursor.execute("ALTER FUNCTION audit_named(text, integer) SECURITY INVOKER")


def test_times_are_exact_though_ids_narrow_them(named: Any) -> None:
    entry = named["churn"]
    for shift, after, before in ((-1, True, False), (0, True, False), (1, False, True)):
        moment = (entry.created_at + timedelta(microseconds=shift)).isoformat().replace("+00:00", "Z")
        for name, expected in (("after", after), ("before", before)):
            ids = queries.filtered({name: moment}, timezone.now()).values_list("pk", flat=True)
            assert (entry.pk in ids) == expected, (name, shift)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59Z"])
def test_moments_out_of_ordinary_are_understood(named: Any, moment: str) -> None:
    counts = [queries.filtered({name: moment}, timezone.now()).count() for name in ("after", "before")]
    everything = AuditEntry.objects.count()
    assert counts == ([0, everything] if moment.startswith("9999") else [everything, 0])
