"""Starting, cancelling and retrying runs: what is refused, and what is written down."""

from __future__ import annotations

from typing import Any

import pytest

from apps.audit.models import AuditEntry
from apps.core.errors import DomainError
from apps.jobs.errors import JobAlreadyFinished, JobNotRetryable
from apps.training import planning, services
from apps.training.enums import UNPREDICTABLE_KINDS
from apps.training.models import TrainingRun
from tests.factories import tables
from tests.working import run_all

pytestmark = pytest.mark.django_db


def test_a_run_is_created_with_its_job_and_told_to_the_trail(plants: Any, start: Any) -> None:
    run = start(plants, "species", candidates={"extra_trees", "linear"})
    assert (run.status, run.model_name, run.candidates) == ("pending", "garden", ["linear", "extra_trees"])
    assert (run.job.kind, run.job.queue, run.job.subject_id) == ("training.run", "training", run.pk)
    entry = AuditEntry.objects.get(action="training_run.created")
    assert (entry.subject_id, entry.changes["target"]) == (run.pk, "species")


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("petals", "target_not_a_column"),
        ("plant_id", "target_not_predictable"),
        ("note", "target_not_predictable"),
        ("place", "target_constant"),
    ],
)
def test_a_target_that_cannot_be_predicted_is_refused_at_once(plants: Any, start: Any, target: str, code: str) -> None:
    with pytest.raises(DomainError) as refused:
        start(plants, target)
    assert (refused.value.code, refused.value.field, refused.value.status) == (code, "target", 422)
    assert not TrainingRun.objects.exists()


def test_a_target_without_any_value_is_refused_at_once(
    in_acme: Any, actor: Any, start: Any, no_heartbeat: None
) -> None:
    version = tables.ready_version("gaps", "a,b\n" + "1,\n2,\n" * 20, actor)
    with pytest.raises(DomainError) as refused:
        start(version, "b")
    assert refused.value.code == "target_all_null"


def test_a_version_that_is_not_ready_is_refused(plants: Any, start: Any) -> None:
    plants.status = "pending"
    plants.save(update_fields=["status"])
    with pytest.raises(DomainError) as refused:
        start(plants, "species")
    assert (refused.value.code, refused.value.field) == ("dataset_not_ready", "dataset_version")


def test_a_model_name_that_is_taken_for_another_task_is_refused(trained: Any, plants: Any, start: Any) -> None:
    with pytest.raises(DomainError) as refused:
        start(plants, "height", task="regression")
    assert (refused.value.code, refused.value.field) == ("model_task_differs", "model_name")


def test_what_is_refused_at_once_is_what_planning_would_refuse() -> None:
    assert set(UNPREDICTABLE_KINDS) == set(planning.UNUSED_KINDS)


def test_a_waiting_run_is_cancelled_at_once_and_can_be_retried(plants: Any, start: Any, actor: Any) -> None:
    run = start(plants, "species")
    assert services.cancel_run(run, by=actor).status == "cancelled"
    with pytest.raises(JobAlreadyFinished):
        services.cancel_run(run, by=actor)
    assert services.retry_run(run, by=actor).status == "pending"
    assert run_all("training") == 1
    assert TrainingRun.objects.get(pk=run.pk).model_version is not None


def test_a_run_that_succeeded_is_not_retried(trained: Any, actor: Any) -> None:
    with pytest.raises(JobNotRetryable):
        services.retry_run(trained, by=actor)
