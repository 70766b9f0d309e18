"""Whatever is sent to an operation of the API, right or wrong, is refused in words or done; nothing crashes."""

from __future__ import annotations

from typing import Any

import pytest
import requests
import schemathesis
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode

from apps.core.actors import Actor
from tests.architecture.doors import operation_path, undone
from tests.factories import world

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

SCHEMA = schemathesis.openapi.from_dict(SchemaGenerator().get_schema(public=True))
OPERATIONS = [found.ok() for found in SCHEMA.get_all_operations()]
EXAMPLES = settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def acme_world(acme: Any, actor: Actor) -> dict[str, Any]:
    return world.build(acme, actor)


def send(case: Any, client: Any) -> Any:
    """The generated case as a request of Django's client, with the credentials of `client`."""
    request = requests.Request(**case.as_transport_kwargs(base_url="http://testserver")).prepare()
    body = request.body or b""
    return client.generic(
        request.method,
        request.path_url,
        data=body if isinstance(body, bytes) else body.encode(),
        content_type=request.headers.pop("Content-Type", ""),
        headers={name: value for name, value in request.headers.items() if name != "Authorization"},
    )


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_any_input_is_refused_in_words_or_done(operation: Any, acme_world: Any, api_owner: Any) -> None:
    real = operation_path(operation.path, acme_world).split("/")
    cases = st.one_of([operation.as_strategy(generation_mode=mode) for mode in GenerationMode])

    @EXAMPLES
    @given(case=cases, is_there=st.booleans())
    def attempt(case: Any, is_there: bool) -> None:
        if is_there and "{id}" in operation.path:
            case.path_parameters["id"] = real[operation.path.split("/").index("{id}")]
        with undone():
            response = send(case, api_owner)
        # The rows of the test have no files and no running replica behind them, which is told as 503.
        assert response.status_code < 500 or response.status_code == 503, case.as_curl_command()
        if response.status_code >= 400:
            assert response["Content-Type"] == "application/problem+json", case.as_curl_command()
            assert response.json()["code"]
        else:
            assert str(response.status_code) in operation.definition.raw["responses"], case.as_curl_command()

    attempt()
