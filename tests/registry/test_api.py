"""Models and their versions over the REST API."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.factories.serving import make_model_version

pytestmark = pytest.mark.django_db

MODELS, VERSIONS = "/api/v1/models/", "/api/v1/model-versions/"


def test_a_model_shows_its_latest_version(api_viewer: Any, in_acme: Any) -> None:
    make_model_version()
    latest = make_model_version()
    model = api_viewer.get(f"{MODELS}{latest.model_id}/").json()
    assert (model["name"], model["version_count"]) == ("leaving", 2)
    assert (model["latest_version"]["id"], model["latest_version"]["number"]) == (str(latest.pk), 2)


def test_a_version_shows_metrics_signature_and_lineage(api_viewer: Any, in_acme: Any) -> None:
    version = make_model_version()
    shown = api_viewer.get(f"{VERSIONS}{version.pk}/").json()
    assert shown["signature"] == version.signature
    assert shown["metrics"] == [{"name": "roc_auc", "value": 0.9, "std": 0.01, "low": 0.88, "high": 0.92}]
    assert (shown["dataset_version"], shown["training_run_id"]) == (
        str(version.dataset_version_id),
        str(version.training_run_id),
    )


def test_the_artifact_is_an_attachment_that_no_browser_runs(api_viewer: Any, in_acme: Any) -> None:
    version = make_model_version()
    response = api_viewer.get(f"{VERSIONS}{version.pk}/artifact/")
    content = b"".join(response.streaming_content)
    assert hashlib.sha256(content).hexdigest() == version.artifact_sha256
    assert response["Content-Length"] == str(len(content))
    assert response["Content-Disposition"] == 'attachment; filename="leaving-v1.onnx"'
    assert (response["X-Content-Type-Options"], response["Content-Security-Policy"]) == ("nosniff", "sandbox")


def test_a_developer_describes_a_model_and_a_viewer_does_not(api_developer: Any, api_viewer: Any, in_acme: Any) -> None:
    address = f"{MODELS}{make_model_version().model_id}/"
    assert api_developer.patch(address, {"description": "Who leaves."}).json()["description"] == "Who leaves."
    assert api_developer.patch(address, {"description": "x" * 2001}).status_code == 422
    refused = api_viewer.patch(address, {"description": "mine"})
    assert (refused.status_code, refused.json()["code"]) == (403, "permission_missing")


def test_versions_are_never_changed_or_deleted(api_owner: Any, in_acme: Any) -> None:
    address = f"{VERSIONS}{make_model_version().pk}/"
    assert {api_owner.patch(address, {}).status_code, api_owner.delete(address).status_code} == {405}


def test_an_outsider_finds_neither_model_nor_version_nor_artifact(api_outsider: Any, in_acme: Any) -> None:
    version = make_model_version()
    assert api_outsider.get(MODELS).json()["results"] == api_outsider.get(VERSIONS).json()["results"] == []
    for address in (
        f"{MODELS}{version.model_id}/",
        f"{VERSIONS}{version.pk}/",
        f"{VERSIONS}{version.pk}/artifact/",
    ):
        assert api_outsider.get(address).status_code == 404
    assert api_outsider.patch(f"{MODELS}{version.model_id}/", {"description": "mine"}).status_code == 404


@pytest.mark.parametrize("address", [MODELS, VERSIONS])
def test_a_list_costs_the_same_queries_for_one_row_and_three(api_viewer: Any, in_acme: Any, address: str) -> None:
    counts = []
    for names in (["a"], ["b", "c"]):
        for name in names:
            make_model_version(name)
        with CaptureQueriesContext(connection) as queries:
            api_viewer.get(address).json()
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_versions_are_filtered_by_model(api_viewer: Any, in_acme: Any) -> None:
    wanted = make_model_version("a")
    make_model_version("b")
    found = api_viewer.get(f"{VERSIONS}?model={wanted.model_id}").json()["results"]
    assert [version["id"] for version in found] == [str(wanted.pk)]
