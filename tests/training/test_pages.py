"""The pages of training runs, with and without HTMX."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from apps.jobs.models import Job
from apps.training.models import TrainingRun
from tests.working import run_all

pytestmark = pytest.mark.django_db

RUNS = "/o/acme/training/"


def text_of(response: Any) -> str:
    return response.content.decode()


def filled(version: Any, **changes: Any) -> dict[str, Any]:
    values = {
        "dataset_version": str(version.pk),
        "target": "species",
        "name": "garden",
        "candidates": ["linear"],
        "folds": 3,
    }
    return {**values, "candidates": ["linear"], "folds": 3, **changes}


def test_the_empty_list_says_what_a_run_is(as_viewer: Any) -> None:
    page = text_of(as_viewer.get(RUNS))
    assert "No training runs yet" in page
    assert "Train a model" not in page


def test_without_data_the_form_leads_to_the_data(as_developer: Any) -> None:
    assert "No dataset to learn from" in text_of(as_developer.get(f"{RUNS}new/"))


def test_the_targets_follow_the_chosen_version_and_what_was_typed_stays(as_developer: Any, plants: Any) -> None:
    empty = text_of(as_developer.get(f"{RUNS}new/"))
    assert "Choose a dataset version first" in empty
    chosen = text_of(as_developer.get(f"{RUNS}new/?version={plants.pk}&name=my+garden&candidates=lightgbm&folds=4"))
    assert '<option value="species">species (category)</option>' in chosen
    assert 'value="my garden"' in chosen
    assert chosen.count("checked") == 1
    assert "Choose a dataset version first" in text_of(as_developer.get(f"{RUNS}new/?version=nonsense"))


def test_the_form_starts_a_run_and_leads_to_it(as_developer: Any, plants: Any) -> None:
    response = as_developer.post(f"{RUNS}new/", filled(plants))
    run = TrainingRun.objects.get()
    assert (response.status_code, response["Location"]) == (303, f"{RUNS}{run.pk}/")
    assert (run.target, run.candidates, run.folds) == ("species", ["linear"], 3)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"target": "place"}, "so there is nothing to predict"),
        ({"target": "petals"}, "petals is not one of the available choices"),
        ({"candidates": []}, "This field is required"),
        ({"folds": 99}, "less than or equal to 10"),
        ({"name": ""}, "This field is required"),
    ],
)
def test_a_wrong_form_comes_back_with_the_error_beside_its_field(
    as_developer: Any, plants: Any, changes: Any, said: str
) -> None:
    response = as_developer.post(f"{RUNS}new/", filled(plants, **changes), headers={"HX-Request": "true"})
    assert response.status_code == 422
    assert said in text_of(response)
    assert not TrainingRun.objects.exists()


def test_a_waiting_run_shows_its_progress_and_a_way_out(as_developer: Any, plants: Any, start: Any) -> None:
    run = start(plants, "species")
    page = text_of(as_developer.get(f"{RUNS}{run.pk}/"))
    for said in ("Waiting for a worker", "Cancel", f"job:{run.job_id}", f"training-run:{run.pk}"):
        assert said in page
    Job.objects.filter(pk=run.job_id).update(
        status="running", lease_until=Now(), started_at=Now(), progress=0.4, step="LightGBM, fold 3 of 5"
    )
    assert "LightGBM, fold 3 of 5" in text_of(as_developer.get(f"{RUNS}{run.pk}/"))


def test_a_finished_run_shows_leaderboard_folds_and_columns(as_viewer: Any, trained: TrainingRun) -> None:
    board = text_of(as_viewer.get(f"{RUNS}{trained.pk}/"))
    for said in ("Logistic regression", "Baseline", "ROC AUC", "lower is better", "Open the model"):
        assert said in board
    folds = text_of(as_viewer.get(f"{RUNS}{trained.pk}/?tab=folds"))
    assert "Fold 3" in folds
    assert "Fold 4" not in folds
    assert "has the same value in every row" in text_of(as_viewer.get(f"{RUNS}{trained.pk}/?tab=columns"))


def test_a_failed_run_says_why_and_offers_to_run_again(as_developer: Any, plants: Any, start: Any) -> None:
    run = start(plants, "species")
    Job.objects.filter(pk=run.job_id).update(status="failed", error_code="class_too_small", error_message="Too rare.")
    page = text_of(as_developer.get(f"{RUNS}{run.pk}/"))
    for said in ("Why it ended", "Too rare.", "class_too_small", "Run again"):
        assert said in page
    assert as_developer.post(f"{RUNS}{run.pk}/retry/").status_code == 303
    assert TrainingRun.objects.get().status == "pending"


def test_cancel_works_once_and_then_says_that_it_is_over(as_developer: Any, plants: Any, start: Any) -> None:
    run = start(plants, "species")
    assert as_developer.post(f"{RUNS}{run.pk}/cancel/").status_code == 303
    assert "Cancelled" in text_of(as_developer.get(f"{RUNS}{run.pk}/"))
    assert as_developer.post(f"{RUNS}{run.pk}/cancel/", headers={"HX-Request": "true"}).status_code == 409


def test_a_viewer_can_neither_start_nor_stop(as_viewer: Any, plants: Any, start: Any) -> None:
    run = start(plants, "species")
    assert as_viewer.get(f"{RUNS}new/").status_code == 403
    assert as_viewer.post(f"{RUNS}new/", filled(plants)).status_code == 403
    assert as_viewer.post(f"{RUNS}{run.pk}/cancel/").status_code == 403
    assert "Cancel" not in text_of(as_viewer.get(f"{RUNS}{run.pk}/"))


def test_an_outsider_finds_nothing(as_outsider: Any, plants: Any, start: Any) -> None:
    run = start(plants, "species")
    assert as_outsider.get(f"{RUNS}{run.pk}/").status_code == 404
    assert as_outsider.get(f"/o/globex/training/{run.pk}/").status_code == 404
    assert as_outsider.post(f"/o/globex/training/{run.pk}/cancel/").status_code == 404
    assert "No dataset to learn from" in text_of(as_outsider.get(f"/o/globex/training/new/?version={plants.pk}"))


def test_the_list_filters_pages_and_costs_the_same_for_one_run_and_three(
    as_developer: Any, plants: Any, start: Any
) -> None:
    as_developer.get(RUNS)  # notes, once a minute, that the session is used
    counts = []
    for wanted in (1, 3):
        while TrainingRun.objects.count() < wanted:
            start(plants, "species")
            run_all("training")
        with CaptureQueriesContext(connection) as queries:
            page = text_of(as_developer.get(RUNS))
        assert page.count("data-row-link") == wanted
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert text_of(as_developer.get(f"{RUNS}?status=failed")).count("data-row-link") == 0
    assert text_of(as_developer.get(f"{RUNS}?dataset={plants.dataset_id}")).count("data-row-link") == 3
    assert text_of(as_developer.get(f"{RUNS}?dataset=nonsense")).count("data-row-link") == 0
