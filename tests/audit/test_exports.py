"""Who takes a copy of the trail along stands in it, and who looks as somebody else takes none."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from apps.audit import exports, services
from apps.audit.models import AuditEntry
from apps.core.actors import Actor
from tests.organizations.test_acting import console, look, operator  # noqa: F401 - fixtures

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "console"])

EXPORT = "/o/acme/trail/export/"


def told() -> list[tuple[str, dict[str, Any]]]:
    lines = AuditEntry.objects.filter(action="audit.exported").order_by("id")
    return [(line.actor_label, line.changes) for line in lines]


def test_an_export_leaves_its_line_with_format_and_filters(in_acme: Any, as_owner: Client, api_owner: Any) -> None:
    file = as_owner.get(f"{EXPORT}?as=jsonl&range=24h&cursor=x")
    assert b"audit.exported" not in file.getvalue()
    api_owner.get("/api/v1/audit/export/?address=192.0.2.1")
    assert told() == [
        ("owner@acme.test", {"format": "jsonl", "range": "24h"}),
        ("owner@acme.test's token (owner@acme.test)", {"format": "csv", "address": "192.0.2.1"}),
    ]


def test_a_refused_export_leaves_none(in_acme: Any, as_owner: Client, as_developer: Client, api_owner: Any) -> None:
    assert as_owner.get(f"{EXPORT}?as=exe").status_code == 404
    assert as_owner.head(EXPORT).status_code == 405
    assert as_developer.get(EXPORT).status_code == 403
    assert api_owner.get("/api/v1/audit/export/?as=exe").status_code == 422
    assert told() == []


def test_who_looks_as_a_member_reads_the_trail_and_exports_nothing(
    console: Client,  # noqa: F811
    in_acme: Any,
    owner: Any,
) -> None:
    look(console, in_acme, owner)
    page = console.get("/o/acme/trail/")
    assert page.status_code == 200
    assert EXPORT not in page.content.decode()
    refused = console.get(EXPORT)
    assert refused.status_code == 403
    assert "change nothing here" in refused.content.decode()
    assert told() == []


def test_an_export_reads_its_rows_in_pieces(
    in_acme: Any, actor: Actor, as_owner: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "CHUNK", 3)
    for _ in range(10):
        services.record(actor, "project.seen", in_acme)
    lines = as_owner.get(f"{EXPORT}?as=jsonl&action=project.seen").getvalue().decode().splitlines()
    assert len(lines) == 10
