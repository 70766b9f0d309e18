"""Training runs over the REST API."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.training.models import TrainingRun
from tests.working import run_all

pytestmark = pytest.mark.django_db

RUNS = "/api/v1/training-runs/"


def asked(version: Any, **changes: Any) -> dict[str, Any]:
    body = {
        "dataset_version": str(version.pk),
        "target": "species",
        "name": "garden",
        "candidates": ["linear"],
        "folds": 3,
    }
    return {**body, **changes}


def test_a_run_is_accepted_works_and_shows_its_leaderboard(api_developer: Any, plants: Any) -> None:
    accepted = api_developer.post(RUNS, asked(plants))
    assert accepted.status_code == 202
    assert accepted["Location"].endswith(f"{RUNS}{accepted.json()['id']}/")
    assert accepted.json()["status"] == "pending"
    run_all("training")
    run = api_developer.get(accepted["Location"]).json()
    assert (run["status"], run["progress"], run["task"], run["model_version"] is not None) == (
        "succeeded",
        1.0,
        "multiclass",
        True,
    )
    assert {trial["algorithm"]: trial["rank"] for trial in run["trials"]} == {"logistic_regression": 1, "baseline": 2}
    assert len(run["trials"][0]["scores"][0]["folds"]) == 3
    assert {column["name"]: column["is_used"] for column in run["columns"]}["plant_id"] is False


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"target": "petals"}, "target"),
        ({"target": "place"}, "target"),
        ({"target": ""}, "target"),
        ({"folds": 1}, "folds"),
        ({"folds": 11}, "folds"),
        ({"candidates": ["magic"]}, "candidates"),
        ({"candidates": []}, "candidates"),
        ({"task": "clustering"}, "task"),
        ({"name": ""}, "name"),
        ({"seed": -1}, "seed"),
        ({"dataset_version": "01a20713-71cd-7750-a14e-94ea0d38a153"}, "dataset_version"),
        ({"dataset_version": "nonsense"}, "dataset_version"),
    ],
)
def test_bad_input_is_refused_beside_its_field(api_developer: Any, plants: Any, changes: Any, field: str) -> None:
    refused = api_developer.post(RUNS, asked(plants, **changes))
    assert refused.status_code == 422
    assert refused["Content-Type"] == "application/problem+json"
    assert {error["field"].partition(".")[0] for error in refused.json()["errors"]} == {field}
    assert not TrainingRun.objects.exists()


def test_the_same_idempotency_key_starts_one_run(api_developer: Any, plants: Any) -> None:
    first, second = (api_developer.post(RUNS, asked(plants), HTTP_IDEMPOTENCY_KEY="once") for _ in range(2))
    assert first.json()["id"] == second.json()["id"]
    assert TrainingRun.objects.count() == 1


def test_a_run_is_cancelled_once(api_developer: Any, plants: Any, start: Any) -> None:
    address = f"{RUNS}{start(plants, 'species').pk}/cancel/"
    assert api_developer.post(address).json()["status"] == "cancelled"
    again = api_developer.post(address)
    assert (again.status_code, again.json()["code"]) == (409, "job_already_finished")


def test_a_viewer_reads_runs_and_starts_none(api_viewer: Any, plants: Any, start: Any) -> None:
    run = start(plants, "species")
    assert api_viewer.get(f"{RUNS}{run.pk}/").status_code == 200
    for refused in (api_viewer.post(RUNS, asked(plants)), api_viewer.post(f"{RUNS}{run.pk}/cancel/")):
        assert (refused.status_code, refused.json()["code"]) == (403, "permission_missing")


def test_an_outsider_sees_no_run_and_trains_on_nobody_elses_data(
    api_outsider: Any, plants: Any, start: Any, globex: Any
) -> None:
    run = start(plants, "species")
    assert api_outsider.get(RUNS).json()["results"] == []
    assert api_outsider.get(f"{RUNS}{run.pk}/").status_code == 404
    assert api_outsider.post(f"{RUNS}{run.pk}/cancel/").status_code == 404
    stolen = api_outsider.post(RUNS, asked(plants))
    missing = api_outsider.post(RUNS, asked(plants, dataset_version="01a20713-71cd-7750-a14e-94ea0d38a153"))
    assert (stolen.status_code, stolen.json()["errors"][0]["code"]) == (422, "does_not_exist")
    assert stolen.json()["errors"][0]["code"] == missing.json()["errors"][0]["code"]


def test_runs_are_filtered_by_status_and_dataset(api_developer: Any, plants: Any, houses: Any, start: Any) -> None:
    garden, prices = start(plants, "species"), start(houses, "price", name="prices")
    assert [run["id"] for run in api_developer.get(RUNS).json()["results"]] == [str(prices.pk), str(garden.pk)]
    for query in (f"dataset={plants.dataset_id}", f"dataset_version={plants.pk}", "name=garden"):
        assert [run["id"] for run in api_developer.get(f"{RUNS}?{query}").json()["results"]] == [str(garden.pk)]
    assert api_developer.get(f"{RUNS}?status=succeeded").json()["results"] == []
    assert api_developer.get(f"{RUNS}?status=nonsense").status_code == 422


def test_the_list_costs_the_same_queries_for_one_run_and_three(api_developer: Any, plants: Any, start: Any) -> None:
    counts = []
    for wanted in (1, 3):
        while TrainingRun.objects.count() < wanted:
            start(plants, "species")
        with CaptureQueriesContext(connection) as queries:
            assert len(api_developer.get(RUNS).json()["results"]) == wanted
        counts.append(len(queries))
    assert counts[0] == counts[1]
