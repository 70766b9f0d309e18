"""The pages of models and their versions."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.registry.models import Model
from tests.factories.serving import make_model_version

pytestmark = pytest.mark.django_db

MODELS = "/o/acme/models/"


def text_of(response: Any) -> str:
    return response.content.decode()


def test_the_empty_list_says_where_models_come_from(as_viewer: Any) -> None:
    assert "No models yet" in text_of(as_viewer.get(MODELS))


def test_the_list_filters_by_task_and_by_the_beginning_of_the_name(as_viewer: Any, in_acme: Any) -> None:
    make_model_version("leaving")
    assert "Version 1" in text_of(as_viewer.get(f"{MODELS}?task=binary&q=LEAV"))
    assert "No model matches" in text_of(as_viewer.get(f"{MODELS}?q=staying"))
    assert "No model matches" in text_of(as_viewer.get(f"{MODELS}?task=regression"))
    assert as_viewer.get(f"{MODELS}?cursor=nonsense").status_code == 404


def test_the_list_costs_the_same_queries_for_one_model_and_three(as_viewer: Any, in_acme: Any) -> None:
    as_viewer.get(MODELS)  # notes, once a minute, that the session is used
    counts = []
    for names in (["a"], ["b", "c"]):
        for name in names:
            make_model_version(name)
        with CaptureQueriesContext(connection) as queries:
            as_viewer.get(MODELS)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_a_model_shows_its_versions_newest_first(as_developer: Any, in_acme: Any) -> None:
    make_model_version()
    latest = make_model_version()
    page = text_of(as_developer.get(f"{MODELS}{latest.model_id}/"))
    assert page.index("Version 2") < page.index("Version 1")
    assert f"/o/acme/deployments/new/?version={latest.pk}" in page


def test_a_version_shows_metrics_signature_lineage_and_how_to_use_it(as_viewer: Any, in_acme: Any) -> None:
    version = make_model_version()
    address = f"{MODELS}versions/{version.pk}/"
    overview = text_of(as_viewer.get(address))
    for said in ("ROC AUC", "0.88 to 0.92", "leaving data", f"/o/acme/training/{version.training_run_id}/", "Download"):
        assert said in overview
    assert "deployments/new/" not in overview, "a viewer is offered to deploy"
    signature = text_of(as_viewer.get(f"{address}?tab=signature"))
    assert all(column["name"] in signature for column in version.signature["inputs"])
    used = text_of(as_viewer.get(f"{address}?tab=use"))
    assert f"/api/v1/model-versions/{version.pk}/artifact/" in used
    assert "onnxruntime.InferenceSession" in used
    assert as_viewer.get(f"{address}?tab=nonsense").status_code == 200


def test_the_artifact_is_downloaded(as_viewer: Any, in_acme: Any) -> None:
    version = make_model_version()
    response = as_viewer.get(f"{MODELS}versions/{version.pk}/artifact/")
    assert len(b"".join(response.streaming_content)) == version.size_bytes


def test_the_description_is_edited_and_escaped(as_developer: Any, in_acme: Any) -> None:
    model = make_model_version().model
    address = f"{MODELS}{model.pk}/"
    assert as_developer.post(f"{address}edit/", {"description": "<b>bold</b>"}).status_code == 303
    assert "&lt;b&gt;bold&lt;/b&gt;" in text_of(as_developer.get(address))
    too_long = as_developer.post(f"{address}edit/", {"description": "x" * 2001})
    assert too_long.status_code == 422
    assert Model.objects.get().description == "<b>bold</b>"


def test_a_viewer_cannot_edit_and_an_outsider_finds_nothing(as_viewer: Any, as_outsider: Any, in_acme: Any) -> None:
    version = make_model_version()
    assert as_viewer.post(f"{MODELS}{version.model_id}/edit/", {"description": "mine"}).status_code == 403
    for path in (f"{version.model_id}/", f"versions/{version.pk}/", f"versions/{version.pk}/artifact/"):
        assert as_outsider.get(f"{MODELS}{path}").status_code == 404
        assert as_outsider.get(f"/o/globex/models/{path}").status_code == 404
