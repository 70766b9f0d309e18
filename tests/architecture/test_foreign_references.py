"""Another organization's ids in bodies, filters and forms: answered as if nobody had a row of that id."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from apps.core.actors import Actor
from tests.architecture.doors import OPERATIONS, PAGES, address, operation_path, undone
from tests.conftest import actor_of
from tests.factories import world

pytestmark = pytest.mark.django_db

SCHEMAS = SchemaGenerator().get_schema(public=True)["components"]["schemas"]
UNKNOWN = uuid4()
MARK = "acmesown"


@pytest.fixture
def theirs(acme: Any, actor: Actor) -> dict[str, Any]:
    return world.build(acme, actor, mark=MARK)


@pytest.fixture
def ours(globex: Any, outsider: Any) -> dict[str, Any]:
    return world.build(globex, actor_of(outsider, "owner"), mark="own")


def body_schema(operation: Any) -> dict[str, Any]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
    return SCHEMAS.get(name, {})


def reference_fields(schema: dict[str, Any]) -> list[str]:
    return [name for name, field in schema.get("properties", {}).items() if field.get("format") == "uuid"]


def valid_body(schema: dict[str, Any]) -> dict[str, Any]:
    """Something for each required field, so that a refusal can be about the reference."""
    return {name: placeholder(schema["properties"][name]) for name in schema.get("required", [])}


def placeholder(field: dict[str, Any]) -> Any:
    if "$ref" in field:
        return SCHEMAS[field["$ref"].rpartition("/")[2]].get("enum", [{}])[0]
    match field.get("type"):
        case "integer":
            return field.get("minimum", 1)
        case "array":
            return [placeholder(field["items"])]
        case "boolean":
            return True
        case "string" if field.get("format") == "email":
            return "somebody@example.test"
    return "x1"


REFERENCES = [
    (path, method, field, body_schema(operation))
    for path, method, operation in OPERATIONS
    for field in reference_fields(body_schema(operation))
]
FILTERS = [
    (path, parameter["name"])
    for path, method, operation in OPERATIONS
    for parameter in operation.get("parameters", [])
    if method == "get" and parameter["in"] == "query"
]


def namesake(name: str, rows: dict[str, Any]) -> Any:
    """The row that a field, filter or parameter of this name would mean."""
    wanted = {"dataset_version": "version_id", "member": "membership_id", "new_owner": "membership_id"}
    return rows.get(wanted.get(name, f"{name.removesuffix('_id')}_id"), rows["dataset_id"])


def told(answer: Any, row_id: UUID) -> tuple[int, Any]:
    """Status and content of an answer, without what differs between any two requests."""
    content: Any = answer.getvalue().replace(str(row_id).encode(), b"<id>")
    document = json.loads(content) if "json" in answer.get("Content-Type", "") and content else content
    if isinstance(document, dict):
        document.pop("request_id", None)
    return answer.status_code, document


def test_the_walk_found_references() -> None:
    assert {("/api/v1/deployments/", "model_version"), ("/api/v1/training-runs/", "dataset_version")} <= {
        (path, field) for path, _, field, _ in REFERENCES
    }


@pytest.mark.parametrize(
    ("path", "method", "field", "schema"), REFERENCES, ids=[f"{m} {p} {f}" for p, m, f, _ in REFERENCES]
)
def test_s1_a_body_that_names_anothers_row_is_refused_like_one_that_names_none(
    path: str, method: str, field: str, schema: Any, theirs: Any, ours: Any, api_outsider: Any
) -> None:
    target = operation_path(path, ours)
    answers = []
    for row_id in (namesake(field, theirs).pk, UNKNOWN):
        with undone():
            body = {**valid_body(schema), field: str(row_id)}
            answers.append(told(getattr(api_outsider, method)(target, body), row_id))
    assert answers[0] == answers[1]
    assert 400 <= answers[0][0] < 500


def test_s1_a_filter_by_anothers_row_finds_what_one_by_no_row_finds(theirs: Any, ours: Any, api_outsider: Any) -> None:
    for path, name in FILTERS:
        target, row_ids = operation_path(path, ours), (namesake(name, theirs).pk, UNKNOWN)
        answers = [told(api_outsider.get(target, {name: str(row_id)}), row_id) for row_id in row_ids]
        assert answers[0] == answers[1], (path, name)
        assert MARK not in str(answers[0])


def form_fields() -> Iterator[str]:
    """What forms and filters of pages call a reference."""
    for name in ("dataset", "dataset_version", "version", "model", "model_version", "project", "run", "job", "member"):
        yield from (name, f"{name}_id")
    yield from ("deployment", "token", "replica", "membership", "new_owner", "seen", "cursor")


def test_s1_a_page_that_is_given_anothers_ids_shows_and_changes_nothing_of_theirs(
    theirs: Any, ours: Any, as_outsider: Client
) -> None:
    given = {name: str(namesake(name, theirs).pk) for name in form_fields()}
    for route, _ in PAGES:
        target = address(route, "globex", ours)
        for method in ("get", "post"):
            with undone():
                answer = getattr(as_outsider, method)(target, given)
            assert MARK.encode() not in b"".join(answer), (method, route)
            assert answer.status_code < 500 or answer.status_code == 503, (method, route)
