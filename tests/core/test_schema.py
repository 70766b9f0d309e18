"""What the OpenAPI document promises of every operation."""

from __future__ import annotations

from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator

DOCUMENT = SchemaGenerator().get_schema(public=True)
OPERATIONS = [
    (method, path, operation) for path, methods in DOCUMENT["paths"].items() for method, operation in methods.items()
]
each_operation = pytest.mark.parametrize(
    ("method", "path", "operation"), OPERATIONS, ids=[f"{method} {path}" for method, path, _ in OPERATIONS]
)


@each_operation
def test_exactly_the_posts_take_an_idempotency_key(method: str, path: str, operation: Any) -> None:
    headers = [parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "header"]
    assert ("Idempotency-Key" in headers) == (method == "post")


@each_operation
def test_every_refusal_is_a_problem_document(method: str, path: str, operation: Any) -> None:
    refusals = {status: answer for status, answer in operation["responses"].items() if status[0] in "45"}
    assert {"4XX", "5XX"} <= refusals.keys()
    for answer in refusals.values():
        told = DOCUMENT["components"]["responses"]["Refusal"] if "$ref" in answer else answer
        assert told["content"]["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}


@each_operation
def test_every_operation_says_who_may_call_it(method: str, path: str, operation: Any) -> None:
    schemes = [name for requirement in operation.get("security", []) for name in requirement]
    if path.startswith("/api/v1/auth/"):
        assert schemes == []
    elif path == "/api/v1/organizations/":
        assert schemes == ["accessToken"]
    else:
        assert schemes == ["apiToken", "accessToken"]


@each_operation
def test_exactly_the_operations_inside_an_organization_take_its_name(method: str, path: str, operation: Any) -> None:
    headers = [parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "header"]
    is_inside = not path.startswith(("/api/v1/auth/", "/api/v1/organizations/"))
    assert ("Modelyard-Organization" in headers) == is_inside


def test_both_ways_to_call_are_described() -> None:
    schemes = DOCUMENT["components"]["securitySchemes"]
    assert {name: (scheme["type"], scheme["scheme"]) for name, scheme in schemes.items()} == {
        "apiToken": ("http", "bearer"),
        "accessToken": ("http", "bearer"),
    }


def test_the_problem_document_is_what_a_refusal_looks_like(client: Any, db: None) -> None:
    answer = client.get("/api/v1/me/").json()
    described = DOCUMENT["components"]["schemas"]["Problem"]
    assert set(described["required"]) == set(described["properties"]) == set(answer)
